import { OverlayError } from './errors.ts';
import type { OverlaySetting } from './plan.ts';

/** mount(2) copies one page, and its last byte is NUL. */
const maxDataBytes = 4095;

/**
 * The option string of mount(2). Directories go by their own names while those fit and need no escaping, and otherwise
 * by the short name that `shorten` gives them.
 *
 * @throws {@link OverlayError} `OVERLAY_TOO_MANY_LAYERS`: too long even so
 */
export function overlayMountData(settings: readonly OverlaySetting[], shorten: (dir: string) => string): string {
  const dirs = settings.flatMap((setting) => (setting.type === 'dir' ? [setting.dir] : []));
  const asIs = format(settings, (dir) => dir);
  if (Buffer.byteLength(asIs) <= maxDataBytes && !dirs.some((dir) => /[\\:,]/.test(dir))) return asIs;
  const shortened = format(settings, shorten);
  if (Buffer.byteLength(shortened) <= maxDataBytes) return shortened;
  throw new OverlayError(
    'OVERLAY_TOO_MANY_LAYERS',
    `cannot mount ${dirs.length} directories: this kernel takes ${maxDataBytes} bytes of options at most`,
  );
}

function format(settings: readonly OverlaySetting[], name: (dir: string) => string): string {
  const lowerDirs = settings.flatMap((setting) =>
    setting.type === 'dir' && setting.key === 'lowerdir+' ? [name(setting.dir)] : [],
  );
  const others = settings.flatMap((setting) => {
    if (setting.type === 'flag') return [setting.key];
    if (setting.type === 'string') return setting.key === 'source' ? [] : [`${setting.key}=${setting.value}`];
    return setting.key === 'lowerdir+' ? [] : [`${setting.key}=${name(setting.dir)}`];
  });
  return [...others, `lowerdir=${lowerDirs.join(':')}`].join(',');
}
