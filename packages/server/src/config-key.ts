import { createPublicKey, type KeyObject } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { JwtSettings } from './auth.ts';
import { algorithmsOf } from './auth-keys.ts';
import { ConfigError, parsedUrl, type Read, shown } from './config-source.ts';
import { nodeId, randomSecret } from './ids.ts';
import { settings } from './settings.ts';

type SigningKey = JwtSettings['key'];

/** RFC 7518, 3.2: as long as the hash. */
const SECRET_BYTES = 32;

/** What tokens are checked with; null when nothing is set, which is demo mode. */
export function signingKey(read: Read): SigningKey | null {
  const secret = read('JWT_SECRET');
  const pem = read('JWT_PUBLIC_KEY');
  const url = read('JWKS_URL');
  if ([secret, pem, url].filter((value) => value !== undefined).length > 1) {
    throw new ConfigError('JWT_SECRET', 'cannot be combined with JWT_PUBLIC_KEY or JWKS_URL: set one of them');
  }
  if (secret !== undefined) return sharedSecret(secret);
  if (pem !== undefined) return publicKey(pem);
  return url === undefined ? null : keySet(url);
}

function sharedSecret(secret: string): SigningKey {
  const advice = '`openssl rand -base64 48` makes one';
  const bytes = Buffer.byteLength(secret);
  if (bytes < SECRET_BYTES) {
    throw new ConfigError(
      'JWT_SECRET',
      `has ${bytes} bytes, must have ${SECRET_BYTES} or more (RFC 7518, 3.2); ${advice}`,
    );
  }
  if (settings.some(({ name, example }) => name === 'JWT_SECRET' && example === secret)) {
    throw new ConfigError('JWT_SECRET', `is the example that everybody can read; ${advice}`);
  }
  return { kind: 'secret', secret };
}

function publicKey(pem: string): SigningKey {
  const text = pem.replaceAll('\\n', '\n').trim();
  if (!/^-----BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)-----/.test(text)) {
    throw new ConfigError('JWT_PUBLIC_KEY', 'must be a public key or a certificate in PEM');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(text);
  } catch {
    throw new ConfigError('JWT_PUBLIC_KEY', 'cannot be read: it is cut off, or not what its first line says');
  }
  const algorithms = algorithmsOf(key);
  if (algorithms.length === 0) {
    throw new ConfigError(
      'JWT_PUBLIC_KEY',
      'must be an RSA key of 2,048 bits or more, an EC key (P-256, P-384, P-521) or an Ed25519 key',
    );
  }
  return { kind: 'public', key, algorithms };
}

function keySet(text: string): SigningKey {
  const { protocol, username, password } = parsedUrl('JWKS_URL', text);
  if (!/^https?:$/.test(protocol)) throw new ConfigError('JWKS_URL', 'must be an http or https address');
  if (username !== '' || password !== '') throw new ConfigError('JWKS_URL', 'must not hold a user or a password');
  return { kind: 'jwks', url: text };
}

/** The secret of demo mode: made once, kept for the next start, readable by its owner only. */
export function demoSecret(dataDir: string): string {
  const file = path.join(dataDir, 'demo-secret');
  let secret: string;
  try {
    mkdirSync(dataDir, { recursive: true });
    keepFirst(file, randomSecret());
    chmodSync(file, 0o600);
    secret = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(
      'DATA_DIR',
      `is ${shown(dataDir)}, which cannot keep the demo secret (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  if (Buffer.byteLength(secret) < SECRET_BYTES)
    throw new ConfigError('DATA_DIR', 'holds a demo-secret that is too short; delete it');
  return secret;
}

/** Writes a file unless there is one. Of two first starts at once one wins, and nobody ever reads half of it. */
function keepFirst(file: string, text: string): void {
  const draft = `${file}.${nodeId()}`;
  writeFileSync(draft, text, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
}
