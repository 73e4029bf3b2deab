import { invalid } from './errors.ts';

/** The longest name of an interface, in bytes (`IFNAMSIZ` less the NUL). */
export const INTERFACE_NAME_MAX: number = 15;

/**
 * The name, when the kernel would take it (`dev_valid_name`). A `%` is refused as well: the kernel makes numbers of it.
 *
 * @throws NetlinkError `NETLINK_INVALID`
 */
export const checkedInterfaceName = (name: string): string => {
  const length = Buffer.byteLength(name);
  if (length === 0 || length > INTERFACE_NAME_MAX || name === '.' || name === '..' || /[/:%\s\0]/.test(name)) {
    throw invalid(
      `not an interface name: "${name}": it has 1 to ${String(INTERFACE_NAME_MAX)} bytes, no space and none of / : %`,
    );
  }
  return name;
};
