import { badValue } from '../errors.ts';
import { parseDuration } from './duration.ts';

const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d(?::\d\d(?::\d\d(?:\.\d{1,9})?)?)?)(Z|[+-]\d\d:\d\d)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * A moment as `--since` and `--until` take it: a duration before `now` (`10m`), seconds since 1970 with a fraction
 * (`1136073845.5`), or a date (`2006-01-02`, `2006-01-02T15:04`, RFC 3339), in local time unless a zone is written.
 */
export function parseTimestamp(word: string, now: Date): Date {
  const moment = parseDate(word) ?? parseUnix(word) ?? new Date(now.getTime() - durationOf(word));
  if (Number.isNaN(moment.getTime())) throw badValue(`"${word}" is not a date`);
  return moment;
}

function parseDate(word: string): Date | undefined {
  const match = DATE.exec(word);
  if (match === null) return undefined;
  const [, day = '', time = '00', zoneOfTime, zoneOfDay] = match;
  const [hours = '00', minutes = '00', seconds = '00'] = time.split(':');
  // Without a zone and with a time, JavaScript reads local time, which is what Docker's client does.
  return new Date(`${day}T${hours}:${minutes}:${seconds}${zoneOfTime ?? zoneOfDay ?? ''}`);
}

const parseUnix = (word: string): Date | undefined =>
  /^\d+(\.\d{1,9})?$/.test(word) ? new Date(Number(word) * 1000) : undefined;

function durationOf(word: string): number {
  try {
    return parseDuration(word);
  } catch {
    throw badValue(`"${word}" is neither a time (2006-01-02T15:04:05Z), nor seconds since 1970, nor a duration (10m)`);
  }
}
