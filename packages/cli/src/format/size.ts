const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** A size with powers of 1000 and three digits, as Docker's tables have it: `78.1MB`. */
export const humanSize = (bytes: number): string => scaled(bytes, { base: 1000, units: DECIMAL, digits: 3 });

/** A size with powers of 1024 and four digits, as `info` has it: `15.59GiB`. */
export const binarySize = (bytes: number): string => scaled(bytes, { base: 1024, units: BINARY, digits: 4 });

function scaled(bytes: number, scale: { base: number; units: readonly string[]; digits: number }): string {
  let amount = bytes;
  let unit = 0;
  while (unit < scale.units.length - 1 && Number(amount.toPrecision(scale.digits)) >= scale.base) {
    amount /= scale.base;
    unit++;
  }
  return `${Number(amount.toPrecision(scale.digits))}${scale.units[unit] ?? ''}`;
}
