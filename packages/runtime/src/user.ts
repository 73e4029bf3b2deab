import { RuntimeError } from './errors.ts';

/** The text of the container's own `/etc/passwd` and `/etc/group`; empty where it has none. */
export interface UserDatabase {
  readonly passwd: string;
  readonly group: string;
}

export interface ResolveUserOptions {
  /** `--group-add`: group names or numbers. */
  readonly groupAdd?: readonly string[] | undefined;
}

/** Whom a container's process runs as. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** The whole supplementary list for setgroups(2), with the primary group in it; ascending, each once. */
  readonly additionalGids: readonly number[];
  /** The home directory; `/` where the user has none that could be one. */
  readonly home: string;
  /** The user's name, if passwd has one. */
  readonly username: string | undefined;
}

/** Ids are uint32 in the kernel, but Docker and many programs keep them in an int, and 2³² − 1 means "no change". */
const MAX_ID = 0x7fff_ffff;
const MAX_FILE_LENGTH = 10 * 1024 * 1024;
const MAX_LINES = 1_000_000;
/** NGROUPS_MAX: setgroups(2) takes no more. */
const MAX_GROUPS = 65_536;

/**
 * Finds the user that `--user` or an image's `USER` means, in the container's own files.
 *
 * The string is `''` (root), `user`, `uid`, `user:group` or `uid:gid`. What is all ASCII digits is a number and never a
 * name, even if passwd has a user of that name; what isn't is a name and never a number. Groups that list the user
 * count only where no group is given, as in Docker; the primary group is in the list always, so that nobody escapes
 * permissions that are denied to a group. Lines of the files that are broken are as if absent.
 *
 * @throws {@link RuntimeError} `RUNTIME_UNKNOWN_USER`: a name that isn't in the files
 * @throws {@link RuntimeError} `RUNTIME_INVALID_USER`: a number above 2147483647, or more than 65536 groups
 * @throws {@link RuntimeError} `RUNTIME_USER_FILE_TOO_LARGE`: a file over 10 MiB or a million lines
 * @see https://man7.org/linux/man-pages/man5/passwd.5.html
 */
export function resolveUser(spec: string, files: UserDatabase, options: ResolveUserOptions = {}): ResolvedUser {
  const [userPart, groupPart] = splitOnce(spec);
  const user = findUser(userPart, files.passwd);
  const gid = groupPart === '' ? user.gid : findGid(groupPart, files.group);
  const memberOf = groupPart === '' && user.name !== undefined ? gidsOfMember(user.name, files.group) : [];
  const added = (options.groupAdd ?? []).map((group) => findGid(group, files.group));
  const additionalGids = [...new Set([gid, ...memberOf, ...added])].toSorted((a, b) => a - b);
  if (additionalGids.length > MAX_GROUPS) {
    throw new RuntimeError(
      'RUNTIME_INVALID_USER',
      `user ${printable(spec)} has more than ${String(MAX_GROUPS)} groups`,
    );
  }
  return { uid: user.uid, gid, additionalGids, home: user.home, username: user.name };
}

interface User {
  readonly name: string | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function findUser(text: string, passwd: string): User {
  const wanted = text === '' ? 0 : parseId(text, 'user');
  for (const line of lines(passwd, 'passwd')) {
    const user = parseUser(line);
    if (user !== undefined && (wanted === undefined ? user.name === text : user.uid === wanted)) return user;
  }
  if (wanted === undefined) throw unknown('user', text);
  return { name: undefined, uid: wanted, gid: 0, home: '/' };
}

function findGid(text: string, group: string): number {
  const wanted = parseId(text, 'group');
  if (wanted !== undefined) return wanted;
  for (const line of lines(group, 'group')) {
    const [name, , gid] = line.split(':', 3);
    const found = readId(gid);
    if (name === text && found !== undefined) return found;
  }
  throw unknown('group', text);
}

function gidsOfMember(user: string, group: string): readonly number[] {
  const found: number[] = [];
  for (const line of lines(group, 'group')) {
    if (!line.includes(user)) continue;
    const [, , gid, members = ''] = line.split(':', 4);
    const number = readId(gid);
    if (number !== undefined && members.split(',').some((member) => member.trim() === user)) found.push(number);
  }
  return found;
}

/** A line of passwd, unless a number in it is missing or out of range: a user that we can't read is nobody. */
function parseUser(line: string): User | undefined {
  const [name = '', , uidText, gidText, , home = ''] = line.split(':', 7);
  const [uid, gid] = [readId(uidText), readId(gidText)];
  if (name === '' || uid === undefined || gid === undefined) return undefined;
  return { name, uid, gid, home: isPlainPath(home) ? home : '/' };
}

/** Nothing that could break out of an environment variable or a line of a file. */
const isPlainPath = (text: string): boolean => text.startsWith('/') && !hasControl(text);

function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

/** The number that a text of digits means; `undefined` if it isn't one and so is a name. */
function parseId(text: string, what: 'user' | 'group'): number | undefined {
  if (!isDigits(text)) return undefined;
  const id = readId(text);
  if (id !== undefined) return id;
  throw new RuntimeError('RUNTIME_INVALID_USER', `invalid ${what} ${text}: ids must be in range 0-${String(MAX_ID)}`);
}

function readId(text: string | undefined): number | undefined {
  if (text === undefined || !isDigits(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function isDigits(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text !== '';
}

function splitOnce(spec: string): readonly [string, string] {
  const colon = spec.indexOf(':');
  return colon === -1 ? [spec, ''] : [spec.slice(0, colon), spec.slice(colon + 1)];
}

const unknown = (what: 'user' | 'group', text: string): RuntimeError =>
  new RuntimeError(
    'RUNTIME_UNKNOWN_USER',
    `unable to find ${what} ${printable(text)}: no matching entries in ${what === 'user' ? 'passwd' : 'group'} file`,
  );

/** A message is one line, whatever the image says. */
const printable = (text: string): string => (hasControl(text) ? JSON.stringify(text) : text);

function* lines(text: string, file: 'passwd' | 'group'): Generator<string, void, undefined> {
  const tooLarge = (limit: string): RuntimeError =>
    new RuntimeError('RUNTIME_USER_FILE_TOO_LARGE', `${file} file of the container is too large: over ${limit}`);
  if (text.length > MAX_FILE_LENGTH) throw tooLarge('10 MiB');
  let start = 0;
  for (let count = 0; start < text.length; count++) {
    if (count === MAX_LINES) throw tooLarge(`${String(MAX_LINES)} lines`);
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    yield text.slice(start, end).trim();
    start = end + 1;
  }
}
