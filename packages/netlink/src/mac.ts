import { invalid } from './errors.ts';
import { ipv4Bytes, parseIpv4 } from './ipv4.ts';

/** @throws NetlinkError `NETLINK_INVALID`: not six bytes, or a group address, which no interface can have */
export const parseMac = (mac: string): Buffer => {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
    throw invalid(`not a MAC address, as in 02:42:ac:11:00:02: "${mac}"`);
  const data = Buffer.from(mac.replaceAll(':', ''), 'hex');
  if ((data.readUInt8(0) & 1) !== 0) throw invalid(`a group address cannot be an interface's: "${mac}"`);
  return data;
};

export const formatMac = (data: Uint8Array): string =>
  [...data].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** A locally administered address made of an IPv4 address: two hosts of one subnet never get the same. */
export const macFromIpv4 = (address: string): string =>
  formatMac(Buffer.concat([Buffer.of(0x02, 0x42), ipv4Bytes(parseIpv4(address))]));
