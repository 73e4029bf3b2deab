import { badValue, notSupported } from '../errors.ts';

/** Something to write into an index: into the index itself, or into the lines of it that are for a platform. */
export interface Annotation {
  readonly target: 'index' | 'manifest-descriptor';
  /** As it was written; `undefined` for every line. */
  readonly platform: string | undefined;
  readonly key: string;
  readonly value: string;
}

const TARGETS = ['index', 'index-descriptor', 'manifest', 'manifest-descriptor'];

/** `index:key=value`, `manifest-descriptor:key=value`, `manifest-descriptor[linux/arm64]:key=value`. */
export function parseAnnotation(word: string): Annotation {
  const match = /^(?:([a-z-]+)(?:\[([^\]]*)\])?:)?([^=\s]+)=(.*)$/s.exec(word);
  if (match === null) throw badValue('it is written TARGET:key=value');
  const [, target = 'manifest', platform, key = '', value = ''] = match;
  if (!TARGETS.includes(target)) throw badValue(`"${target}" is nothing to annotate: use one of ${TARGETS.join(', ')}`);
  if (target === 'manifest-descriptor') return { target, platform, key, value };
  if (target !== 'index') {
    // Those would change the manifests, which are only pointed at here.
    throw notSupported(`annotating a ${target} (there are index and manifest-descriptor)`);
  }
  if (platform !== undefined) throw badValue('an index is for no platform');
  return { target, platform, key, value };
}
