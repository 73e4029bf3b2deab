import type { Digest } from '../names.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `12.3 MB`, in powers of 1000, as other tools show it. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ''}`;
}

const SPANS: readonly (readonly [name: string, seconds: number])[] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** `3 days ago`. */
export function formatAge(atMs: number, nowMs: number): string {
  const seconds = (nowMs - atMs) / 1000;
  for (const [name, length] of SPANS) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${String(count)} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

/** An age that says its date to machines, and to whoever points at it. */
export function age(atMs: number): Html {
  const date = new Date(atMs);
  // 1970 and before is what reproducible builds say, and says nothing.
  if (Number.isNaN(date.getTime()) || atMs <= 86_400_000) return html`<span class="dim">not known</span>`;
  const iso = date.toISOString();
  return html`<time datetime="${iso}" title="${iso}">${formatAge(atMs, Date.now())}</time>`;
}

/** The first twelve digits, as other tools shorten it. */
export const shortDigest = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1).slice(0, 12);

export const plural = (count: number, what: string): string => `${String(count)} ${what}${count === 1 ? '' : 's'}`;
