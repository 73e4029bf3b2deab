import type { Descriptor } from '../descriptor.ts';
import { isDigest } from '../digest.ts';
import { ImageError, isImageError, quote } from '../errors.ts';
import { formatReference, parseReference } from '../reference.ts';

/** The specification's annotation for a name in a layout: a tag, or a whole reference. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd's annotation for a full name, where `ref.name` has a tag only. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

const COMPONENT = /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*$/;
const NAME_MAX = 512;

/** The full reference that a text means; `undefined` for what is none, and for a bare tag. */
const referenceOf = (text: string): string | undefined => {
  if (!/[:/]/.test(text)) return undefined;
  try {
    return formatReference(parseReference(text));
  } catch (error) {
    if (isImageError(error)) return undefined;
    throw error;
  }
};

/**
 * The annotations of a line with this name.
 *
 * @throws {@link ImageError} `REFERENCE_INVALID`
 * @see https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys
 */
export const nameAnnotations = (name: string): Readonly<Record<string, string>> => {
  const isName = name.length <= NAME_MAX && name.split('/').every((part) => COMPONENT.test(part)) && !isDigest(name);
  if (!isName) {
    throw new ImageError('REFERENCE_INVALID', `invalid name ${quote(name)}: want a tag or a reference`, { path: name });
  }
  const reference = referenceOf(name);
  return { [REF_NAME]: name, ...(reference === undefined ? {} : { [CONTAINERD_NAME]: reference }) };
};

/** The name of a line; containerd's, which is a whole one, before the specification's. */
export const lineName = ({ annotations = {} }: Descriptor): string | undefined =>
  annotations[CONTAINERD_NAME] ?? annotations[REF_NAME];

/** Whether this is the line's name, as it is written or in another form of the same reference. */
export const isNamed = (line: Descriptor, name: string): boolean => {
  const own = lineName(line);
  if (own === undefined || own === name) return own === name;
  const reference = referenceOf(/[:@]/.test(name) ? name : `${name}:latest`);
  return reference !== undefined && referenceOf(own) === reference;
};

/** Whether a line may be called so: also by its tag alone, which other lines may have, too. */
export const isCalled = (line: Descriptor, name: string): boolean =>
  isNamed(line, name) || line.annotations?.[REF_NAME] === name;

/** The line without a name. */
export const withoutName = (line: Descriptor): Descriptor => {
  const annotations = Object.fromEntries(
    Object.entries(line.annotations ?? {}).filter(([key]) => key !== REF_NAME && key !== CONTAINERD_NAME),
  );
  const { annotations: _, ...rest } = line;
  return Object.keys(annotations).length === 0 ? rest : { ...rest, annotations };
};
