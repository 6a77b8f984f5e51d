import { isIP, isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';

/** The caller's network address; behind a trusted proxy the one that the proxy tells. Empty when the socket is gone. */
export function addressOf(request: FastifyRequest): string {
  // What a proxy passes on may be anything that its own caller wrote.
  return plainAddress(request.ip) || plainAddress(request.socket.remoteAddress) || '';
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
