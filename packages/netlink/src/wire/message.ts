import { align4, attributesLength, decodeAttributeMap, readText, writeAttributes } from './attribute.ts';
import type { Attribute } from './attribute.ts';

export const NLM_F_REQUEST: number = 0x1;
export const NLM_F_ACK: number = 0x4;
export const NLM_F_DUMP: number = 0x300;
export const NLM_F_EXCL: number = 0x200;
export const NLM_F_CREATE: number = 0x400;
export const NLM_F_APPEND: number = 0x800;
/** On a reply: the table changed during the dump, which may therefore have holes. */
export const NLM_F_DUMP_INTR: number = 0x10;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

export const NLMSG_ERROR: number = 2;
export const NLMSG_DONE: number = 3;

const HEADER_BYTES = 16;
const NLMSGERR_ATTR_MSG = 1;

/** One message to send: the fixed part that its type demands (`ifinfomsg`, `nfgenmsg`, …), then attributes. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly header: Uint8Array;
  readonly attributes: readonly Attribute[];
}

export interface ReceivedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

const messageLength = (message: Message): number =>
  HEADER_BYTES + align4(message.header.byteLength) + attributesLength(message.attributes);

/** All messages as one buffer for one `sendmsg`, numbered `firstSequence`, `firstSequence + 1`, … */
export const encodeMessages = (messages: readonly Message[], firstSequence: number): Buffer => {
  const target = Buffer.alloc(messages.reduce((sum, message) => sum + messageLength(message), 0));
  let offset = 0;
  messages.forEach((message, index) => {
    const length = messageLength(message);
    target.writeUInt32LE(length, offset);
    target.writeUInt16LE(message.type, offset + 4);
    target.writeUInt16LE(message.flags, offset + 6);
    target.writeUInt32LE((firstSequence + index) >>> 0, offset + 8);
    target.set(message.header, offset + HEADER_BYTES);
    writeAttributes(target, offset + HEADER_BYTES + align4(message.header.byteLength), message.attributes);
    offset += length;
  });
  return target;
};

/** The messages of one datagram. */
export const decodeMessages = (data: Buffer): readonly ReceivedMessage[] => {
  const messages: ReceivedMessage[] = [];
  for (let offset = 0; offset + HEADER_BYTES <= data.length;) {
    const length = data.readUInt32LE(offset);
    if (length < HEADER_BYTES || offset + length > data.length) break;
    messages.push({
      type: data.readUInt16LE(offset + 4),
      flags: data.readUInt16LE(offset + 6),
      sequence: data.readUInt32LE(offset + 8),
      payload: data.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align4(length);
  }
  return messages;
};

/** The kernel's answer to one message: `errno` is 0 for an acknowledgement. */
export interface Acknowledgement {
  readonly sequence: number;
  readonly errno: number;
  /** What the kernel has to say beside the number (`NETLINK_EXT_ACK`). */
  readonly text: string | undefined;
}

/** Reads a message of type {@link NLMSG_ERROR}, which also carries success. */
export const decodeAcknowledgement = ({ flags, sequence, payload }: ReceivedMessage): Acknowledgement => {
  const errno = Math.abs(payload.readInt32LE(0)); // negative on the wire
  // The request comes back behind the number: its header alone when capped or successful, else the whole of it.
  const echoed = (flags & NLM_F_CAPPED) !== 0 || errno === 0 ? HEADER_BYTES : payload.readUInt32LE(4);
  const explained = (flags & NLM_F_ACK_TLVS) !== 0;
  const message = explained
    ? decodeAttributeMap(payload.subarray(4 + align4(echoed))).get(NLMSGERR_ATTR_MSG)
    : undefined;
  return { sequence, errno, text: message === undefined ? undefined : readText(message) };
};
