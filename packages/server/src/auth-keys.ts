import type { KeyObject } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from './domain/ports.ts';

const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
const EDDSA = ['EdDSA', 'Ed25519'];

/** What a public key may have signed with: never an HMAC (RFC 8725, 2.1). */
export const publicKeyAlgorithms: readonly string[] = [...RSA, ...Object.values(CURVES), ...EDDSA];

/** The algorithms that fit a public key's own type and size; none when it cannot check tokens. */
export function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  if (asymmetricKeyType === 'rsa') return (asymmetricKeyDetails?.modulusLength ?? 0) < 2_048 ? [] : RSA;
  if (asymmetricKeyType === 'ed25519') return EDDSA;
  const curve = CURVES[asymmetricKeyDetails?.namedCurve ?? ''];
  return asymmetricKeyType === 'ec' && curve ? [curve] : [];
}

/** The keys could not be had: nothing is known of the token. */
export class KeysAwayError extends Error {
  override readonly name = 'KeysAwayError';
}

/** After so long keys are fetched again, so that one that was taken back stops to serve. */
const FRESH_MS = 600_000;
/** While their address does not answer, keys go on serving for so long. */
const STALE_MS = 86_400_000;
/** Between two fetches at least, whatever tokens ask for. */
const PAUSE_MS = 5_000;
const FETCH_MS = 5_000;

/**
 * The keys of a JSON Web Key Set (RFC 7517): fetched for the first token, when they are old, and when a token names a
 * key that is not among them. Once a fetch has failed, others are tried behind the callers' backs: nobody waits again.
 */
export function remoteKeys(url: string, clock: Clock): JWTVerifyGetKey {
  let keys: ReturnType<typeof createLocalJWKSet> | null = null;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let failure: unknown = null;
  let fetching: Promise<void> | null = null;

  // Distances, so that a clock that is set back does not keep us from looking.
  const ago = (at: number): number => Math.abs(clock.now() - at);
  const away = (): KeysAwayError => new KeysAwayError(`no keys from ${url}`, { cause: failure });

  const fetchAgain = async (): Promise<void> => {
    try {
      keys = createLocalJWKSet(await fetchKeySet(url));
      fetchedAt = clock.now();
      failure = null;
    } catch (error) {
      failure = error;
    }
    triedAt = clock.now();
    fetching = null;
  };

  const renew = async (): Promise<void> => {
    if (fetching === null && ago(triedAt) < PAUSE_MS) return;
    const failing = failure !== null;
    fetching ??= fetchAgain();
    if (!failing) await fetching;
  };

  return async (header, token) => {
    if (ago(fetchedAt) > FRESH_MS) await renew();
    if (keys === null || ago(fetchedAt) > STALE_MS) throw away();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await renew();
      // Perhaps the key is a new one, which we cannot see.
      if (failure !== null) throw away();
      return keys(header, token);
    }
  };
}

async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    headers: { accept: 'application/json, application/jwk-set+json' },
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_MS),
  });
  if (response.status !== 200) throw new Error(`the key set's address answered with ${response.status}`);
  return (await response.json()) as JSONWebKeySet;
}
