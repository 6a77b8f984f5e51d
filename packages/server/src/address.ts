import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6 } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';

/** Tells a request's network address; empty when the socket is gone. */
export type AddressOf = (request: IncomingMessage) => string;

/**
 * Behind a proxy that is trusted, the address is the one that the proxy tells.
 * @param trustProxy true for any, or the proxies' addresses with commas between them
 */
export function addressReader(trustProxy: boolean | string): AddressOf {
  const direct: AddressOf = (request) => plainAddress(request.socket.remoteAddress);
  if (trustProxy === false) return direct;
  const trusted =
    trustProxy === true ? () => true : proxyAddress.compile(trustProxy.split(',').map((address) => address.trim()));
  return (request) => {
    // Without a socket there is nothing that the proxy's word could be checked against.
    if (request.socket.remoteAddress === undefined) return '';
    // What a proxy passes on may be anything that its own caller wrote.
    return plainAddress(proxyAddress(request, trusted)) || direct(request);
  };
}

/** An address as logs show it: IPv4 not wrapped as IPv6, no zone. Empty when it is none. */
export function plainAddress(text: string | undefined): string {
  if (text === undefined || isIP(text) === 0) return '';
  const [address = ''] = text.split('%');
  const wrapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1];
  return wrapped ?? address;
}

/**
 * What one subscriber has of the network: an IPv4 address, or the /64 of an IPv6 address, in which anybody has as many
 * addresses as they like.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [left = [], right = []] = address.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...(address.includes('::') ? zeros : []), ...right].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
