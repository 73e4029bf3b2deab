import type { Flags, FlagValues } from '../flags/flag.ts';

/** Flags that together say one thing about a container, and how they are read. */
export interface FlagGroup<T> {
  readonly flags: Flags;
  read(values: Readonly<Record<string, unknown>>): T;
}

export const flagGroup = <F extends Flags, T>(flags: F, read: (values: FlagValues<F>) => T): FlagGroup<T> => ({
  flags,
  read: (values) => read(values as FlagValues<F>),
});

/** Leaves out what is `undefined`, so that a request has only what was asked for. */
export const given = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

export const unlessEmpty = <T>(values: readonly T[]): readonly T[] | undefined =>
  values.length === 0 ? undefined : values;
