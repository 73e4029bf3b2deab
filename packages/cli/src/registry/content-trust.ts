import { notSupported } from '../errors.ts';
import { toggle } from '../flags/flag.ts';
import type { Flag } from '../flags/flag.ts';

/** Docker's flag about Notary signatures. They are never looked at, which is its default. */
export const contentTrustFlag = (help: string): Flag<boolean> => toggle(help, { initial: true });

/** `--disable-content-trust=false` asks for signatures. */
export function refuseContentTrust(disabled: boolean): void {
  if (!disabled) throw notSupported('content trust (--disable-content-trust=false)');
}
