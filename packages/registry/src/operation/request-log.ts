import type { RequestRecord } from '../server/events.ts';

export interface RequestLogOptions {
  /** `json`: an object per line. `text`: a line for people. Default `json`. */
  readonly format?: 'json' | 'text' | undefined;
}

/** What a client made up may fill its line, but not the disk. */
const TEXT_MAX = 2048;

/** Only printable ASCII comes out: nothing that ends a line, moves a cursor or writes from right to left. */
const escaped = (json: string): string =>
  json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const shortened = (text: string): string => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}...` : text);
const quoted = (text: string): string => escaped(JSON.stringify(shortened(text)));
const tidy = (text: string | undefined): string | undefined => (text === undefined ? undefined : shortened(text));

/** Fields that have no value are left out. */
const formatJson = (record: RequestRecord): string =>
  escaped(
    JSON.stringify({
      time: new Date(record.atMs).toISOString(),
      requestId: record.requestId,
      address: record.address,
      account: tidy(record.account),
      method: tidy(record.method),
      host: tidy(record.host),
      url: shortened(record.url),
      route: record.route,
      repository: record.name,
      status: record.status,
      brokenOff: record.complete ? undefined : true,
      error: record.errorCode,
      durationMs: Math.round(record.durationMs * 1000) / 1000,
      receivedBytes: record.receivedBytes,
      sentBytes: record.sentBytes,
      userAgent: tidy(record.userAgent),
    }),
  );

const formatText = (record: RequestRecord): string =>
  [
    new Date(record.atMs).toISOString(),
    record.address ?? '-',
    record.account === undefined ? '-' : quoted(record.account),
    quoted(`${record.method} ${record.url}`),
    `${String(record.status)}${record.complete ? '' : ' (broken off)'}`,
    record.errorCode ?? '-',
    `${record.durationMs.toFixed(1)}ms`,
    `in=${String(record.receivedBytes)}`,
    `out=${String(record.sentBytes)}`,
    record.userAgent === undefined ? '-' : quoted(record.userAgent),
    record.requestId,
  ].join(' ');

/**
 * Makes an `onRequest` that writes a line for each request. No header but `Host` and `User-Agent` gets into it.
 *
 * @param write - gets the line with its end
 * @example createRegistry({ storage, onRequest: createRequestLog((line) => process.stdout.write(line)) })
 */
export function createRequestLog(
  write: (line: string) => void,
  { format = 'json' }: RequestLogOptions = {},
): (record: RequestRecord) => void {
  const formatRecord = format === 'json' ? formatJson : formatText;
  return (record) => write(`${formatRecord(record)}\n`);
}
