import type { Language } from '@switchboard/protocol';
import type { Store } from './ports.ts';

/** The figures of `GET /stats/today`. The texts of durations are made where the reader's language is known. */
export interface TodayStats {
  readonly totalSessions: number;
  readonly completedSessions: number;
  /** Mean of first reply minus first user message, over sessions whose first reply was today; 0 when none. */
  readonly avgResponseSeconds: number;
  /** Mean score of the sessions rated today, one decimal; 0 when none. */
  readonly customerSatisfaction: number;
  readonly ratedSessions: number;
  readonly waitingSessions: number;
  readonly activeSessions: number;
  readonly onlineAdmins: number;
  readonly messagesToday: number;
}

export async function todayStats(store: Store, now: number, zone: string): Promise<TodayStats> {
  const { from, to } = businessDay(now, zone);
  const [day, counts, online] = await Promise.all([
    store.dayFigures(from, to),
    store.statusCounts(),
    store.roster.onlineAdmins(),
  ]);
  return {
    totalSessions: day.created,
    completedSessions: day.closed,
    avgResponseSeconds: day.answered === 0 ? 0 : Math.round(day.responseMs / day.answered / 1000),
    customerSatisfaction: day.rated === 0 ? 0 : Math.round((day.ratingSum / day.rated) * 10) / 10,
    ratedSessions: day.rated,
    waitingSessions: counts.waiting,
    activeSessions: counts.active,
    onlineAdmins: online.length,
    messagesToday: day.messages,
  };
}

/**
 * The day of `zone` that `now` lies in, as milliseconds UTC: `from` is its first moment, `to` the next day's.
 * Days with a clock change are 23 or 25 hours long.
 */
export function businessDay(now: number, zone: string): { from: number; to: number } {
  const today = localParts(now, zone);
  return {
    from: startOf(zone, today.year, today.month, today.day),
    to: startOf(zone, today.year, today.month, today.day + 1),
  };
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localParts(at: number, zone: string): { year: number; month: number; day: number; asUtc: number } {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return { year, month, day, asUtc: Date.UTC(year, month - 1, day, hour, minute, second) };
}

/** No place is further from UTC. */
const MAX_OFFSET_MS = 16 * 3_600_000;

/**
 * First moment of a local day. Not every day has a midnight: where the clock is put forward at that hour, the day begins
 * with the change. So it is looked for, between two moments that lie before and after it whatever the zone.
 */
function startOf(zone: string, year: number, month: number, day: number): number {
  const wanted = Date.UTC(year, month - 1, day);
  let before = wanted - MAX_OFFSET_MS;
  let first = wanted + MAX_OFFSET_MS;
  while (first - before > 1) {
    const middle = Math.floor((before + first) / 2);
    if (localParts(middle, zone).asUtc >= wanted) first = middle;
    else before = middle;
  }
  return first;
}

/** A duration for people: `45秒`, `3分钟`, `1小时5分钟`; `45 s`, `3 min`, `1 h 5 min`. Minutes are rounded. */
export function durationText(seconds: number, language: Language): string {
  const words =
    language === 'zh' ? { s: '秒', m: '分钟', h: '小时', gap: '' } : { s: ' s', m: ' min', h: ' h', gap: ' ' };
  if (seconds < 60) return `${Math.round(seconds)}${words.s}`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}${words.m}`;
  const rest = minutes % 60;
  const hours = `${Math.floor(minutes / 60)}${words.h}`;
  return rest === 0 ? hours : `${hours}${words.gap}${rest}${words.m}`;
}
