import { BuilderError } from './errors.ts';

const ID_MAX = 2 ** 32 - 2;

/**
 * Reads `--chown=uid[:gid]`. A user id alone is the group's, too.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`: a name, which only the image's passwd file knows
 */
export function parseOwner(text: string): { readonly uid: number; readonly gid: number } {
  const [user = '', group = user, ...more] = text.split(':');
  const [uid, gid] = [user, group].map((digits) => (/^\d{1,10}$/.test(digits) ? Number(digits) : Number.NaN));
  if (uid === undefined || gid === undefined || more.length > 0 || !(uid <= ID_MAX && gid <= ID_MAX)) {
    throw new BuilderError('BUILDER_UNSUPPORTED', `--chown=${text}: only numbers so far, as in --chown=1000:1000`);
  }
  return { uid, gid };
}

/**
 * Reads `--chmod=755`.
 *
 * @throws {@link BuilderError} `BUILDER_UNSUPPORTED`: a symbolic mode
 */
export function parseMode(text: string): number {
  if (/^0?[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new BuilderError('BUILDER_UNSUPPORTED', `--chmod=${text}: only octal modes so far, as in --chmod=755`);
}
