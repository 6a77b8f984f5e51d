import { ChatError, limits } from '@switchboard/protocol';
import type { JWTPayload } from 'jose';
import type { Identity } from './domain/session.ts';

/** Names of claims; dots go into nested ones. */
export interface ClaimNames {
  readonly userId: string;
  readonly roles: string;
  readonly nickname: string;
  readonly avatar: string;
}

/** What claims are called unless a setting says otherwise. */
export const usualClaims: ClaimNames = { userId: 'userId', roles: 'roles', nickname: 'nickname', avatar: 'avatar' };

/** How a host application marks its admins, where roles do not. */
export interface AdminRule {
  readonly claim: string;
  readonly how: 'equals' | 'contains';
  readonly value: string;
}

/** How the claims of a token are read. */
export interface ClaimRules {
  readonly claims: ClaimNames;
  /** A token that any of these fits is an admin's, whatever its roles say. */
  readonly adminWhen: readonly AdminRule[];
}

/** Who a valid token speaks for. */
export interface Account {
  readonly identity: Identity;
  readonly roles: ReadonlySet<'user' | 'admin'>;
}

/**
 * Reads the claims of a token whose signature and times are good.
 * @throws ChatError UNAUTHORIZED when a claim is of the wrong type, or says no account
 */
export function readClaims(payload: JWTPayload, { claims, adminWhen }: ClaimRules): Account {
  return {
    identity: {
      id: accountId(payload, claims.userId),
      nickname: shownText(claim(payload, claims.nickname), limits.nicknameCharacters),
      avatar: shownText(claim(payload, claims.avatar), limits.avatarCharacters),
    },
    roles: roles(payload, claims.roles, adminWhen),
  };
}

/** A claim by its own name, or by dots into nested ones. Only own properties: a token cannot reach a prototype. */
function claim(payload: object, name: string): unknown {
  if (Object.hasOwn(payload, name)) return (payload as Record<string, unknown>)[name];
  let here: unknown = payload;
  for (const step of name.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string, unknown>)[step];
  }
  return here;
}

/** An integer, or the same written as text. A numeric `sub` serves where `userId` is read and is not there. */
function accountId(payload: JWTPayload, name: string): number {
  const given = claim(payload, name) ?? (name === usualClaims.userId ? payload.sub : undefined);
  const id = typeof given === 'string' && /^[1-9]\d{0,9}$/.test(given) ? Number(given) : given;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > limits.id) throw new ChatError('UNAUTHORIZED');
  return id;
}

/** A list of roles or one; none means user. Words of the host's own that mean nothing here are passed over. */
function roles(payload: JWTPayload, name: string, adminWhen: readonly AdminRule[]): ReadonlySet<'user' | 'admin'> {
  const given = claim(payload, name) ?? (name === usualClaims.roles ? claim(payload, 'role') : undefined) ?? [];
  const words: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (!words.every((word) => typeof word === 'string')) throw new ChatError('UNAUTHORIZED');
  const found = new Set(words.filter((word) => word === 'user' || word === 'admin'));
  if (adminWhen.some((rule) => fits(claim(payload, rule.claim), rule))) found.add('admin');
  return found.size > 0 ? found : new Set(['user']);
}

function fits(value: unknown, { how, value: wanted }: AdminRule): boolean {
  if (how === 'equals') return ['string', 'number', 'boolean'].includes(typeof value) && String(value) === wanted;
  const words: unknown = typeof value === 'string' ? value.split(/\s+/) : value;
  return Array.isArray(words) && words.includes(wanted);
}

/** A text to show: of the wrong type it is refused, too long it is cut; no halves of characters, no control characters. */
function shownText(value: unknown, most: number): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw new ChatError('UNAUTHORIZED');
  const clean = value.toWellFormed().replaceAll(/[\p{Cc}\uFFFD]/gu, '');
  return Array.from(clean).slice(0, most).join('');
}
