import { closeSync } from 'node:fs';

import {
  AF_NETLINK,
  getsockopt,
  hasCode,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  recvmsg,
  sendmsg,
  setsockopt,
  SO_SNDBUF,
  SOCK_RAW,
  socket,
  socket_in_netns,
  SOL_NETLINK,
  SOL_SOCKET,
} from '@tsc/sys';

import { NetlinkError, refusal } from '../errors.ts';
import {
  decodeAcknowledgement,
  decodeMessages,
  encodeMessages,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from './message.ts';
import type { Acknowledgement, Message, ReceivedMessage } from './message.ts';

const SO_SNDBUFFORCE = 32;
/** The kernel fills at most 32 KiB per datagram of a dump (`netlink_dump`). */
const DATAGRAM_BYTES = 32_768;
/** The kernel's own bookkeeping, which it counts against the send buffer (`netlink_sendmsg`). */
const SEND_OVERHEAD_BYTES = 32;
/** Below it no send buffer is too small, so we need not ask for its size. */
const SMALL_SEND_BYTES = 65_536;
const DUMP_ATTEMPTS = 10;

/** What came back for one exchange; sequences are counted from 0, the first message's. */
export interface Exchange {
  readonly failures: readonly (Acknowledgement & { readonly index: number })[];
  readonly replies: readonly ReceivedMessage[];
}

/**
 * One AF_NETLINK socket. The kernel works off a request inside `sendmsg` and has queued the answer when that returns,
 * so every method is synchronous and none waits.
 */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  #open = true;
  #sequence = 1;
  #sendCount = 0;

  constructor(protocol: number, netnsFd: number | undefined) {
    this.#fd = openDescriptor(protocol, netnsFd);
    try {
      setsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
      setsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** How many times `sendmsg` was called. */
  get sendCount(): number {
    return this.#sendCount;
  }

  /**
   * Sends all messages in one `sendmsg` and reads the answers.
   *
   * The kernel works in order and always answers a failure, so asking for the acknowledgement of one message, after
   * which nothing but successes can be missing, tells of all: one `recvmsg` on success instead of one per message.
   *
   * @param acknowledged - index of that message, by default the last
   * @throws NetlinkError `NETLINK_OVERRUN`: answers were lost and the outcome is unknown
   */
  exchange(messages: readonly Message[], acknowledged: number = messages.length - 1): Exchange {
    const first = this.#send(
      messages.map((message, index) => ({
        ...message,
        flags: message.flags | NLM_F_REQUEST | (index === acknowledged ? NLM_F_ACK : 0),
      })),
    );
    const failures: (Acknowledgement & { index: number })[] = [];
    const replies: ReceivedMessage[] = [];
    let finished = false;
    while (!finished) {
      const datagram = this.#receive();
      if (datagram === undefined) break;
      for (const message of datagram) {
        const index = (message.sequence - first) >>> 0;
        if (index >= messages.length) continue; // the rest of an exchange that was lost
        if (message.type !== NLMSG_ERROR) replies.push(message);
        else {
          const acknowledgement = decodeAcknowledgement(message);
          if (acknowledgement.errno !== 0) failures.push({ ...acknowledgement, index });
          if (index === acknowledged) finished = true;
        }
      }
    }
    if (!finished && failures.length === 0) throw overrun();
    return { failures, replies };
  }

  /**
   * Reads a whole table. Starts again when the kernel says that the table changed underneath.
   *
   * @throws NetlinkError by errno when the kernel refuses; `NETLINK_OVERRUN` when the table never holds still
   */
  dump(description: string, message: Message): readonly ReceivedMessage[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const replies = this.#dumpOnce(description, message);
      if (replies !== undefined) return replies;
    }
    throw overrun();
  }

  #dumpOnce(description: string, message: Message): readonly ReceivedMessage[] | undefined {
    const first = this.#send([{ ...message, flags: message.flags | NLM_F_REQUEST | NLM_F_DUMP }]);
    const replies: ReceivedMessage[] = [];
    let interrupted = false;
    for (;;) {
      const datagram = this.#receive();
      if (datagram === undefined) throw overrun();
      for (const reply of datagram) {
        if (reply.sequence !== first) continue;
        if ((reply.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (reply.type === NLMSG_ERROR) throw refusal(description, decodeAcknowledgement(reply), 0);
        if (reply.type !== NLMSG_DONE) replies.push(reply);
        else return interrupted ? undefined : checkedDump(description, reply, replies);
      }
    }
  }

  #send(messages: readonly Message[]): number {
    const first = this.#sequence;
    this.#sequence = (first + messages.length) >>> 0;
    const data = encodeMessages(messages, first);
    if (data.length > SMALL_SEND_BYTES) this.#growSendBuffer(data.length + SEND_OVERHEAD_BYTES);
    this.#sendCount += 1;
    try {
      sendmsg(this.#fd, data);
    } catch (error) {
      if (!hasCode(error, 'EMSGSIZE')) throw error;
      const size = `${String(messages.length)} messages of ${String(data.length)} bytes`;
      throw new NetlinkError('NETLINK_REFUSED', `cannot send ${size} at once: more than net.core.wmem_max allows`, {
        errno: 'EMSGSIZE',
        cause: error,
      });
    }
    return first;
  }

  #growSendBuffer(neededBytes: number): void {
    if (getsockopt(this.#fd, SOL_SOCKET, SO_SNDBUF, 4).readInt32LE() >= neededBytes) return;
    try {
      setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, neededBytes);
    } catch (error) {
      if (!hasCode(error, 'EPERM')) throw error;
      setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUF, neededBytes); // as far as net.core.wmem_max goes
    }
  }

  /** The next datagram, or undefined when nothing is queued. */
  #receive(): readonly ReceivedMessage[] | undefined {
    for (;;) {
      try {
        const { data, flags } = recvmsg(this.#fd, DATAGRAM_BYTES, MSG_DONTWAIT);
        if ((flags & MSG_TRUNC) !== 0) throw overrun();
        return decodeMessages(data);
      } catch (error) {
        if (hasCode(error, 'EAGAIN')) return undefined;
        // Answers were dropped for want of room; those that were queued before are still to be read.
        if (!hasCode(error, 'ENOBUFS')) throw error;
      }
    }
  }

  /** Closes the socket; calling it again is fine. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const openDescriptor = (protocol: number, netnsFd: number | undefined): number => {
  try {
    return netnsFd === undefined
      ? socket(AF_NETLINK, SOCK_RAW, protocol)
      : socket_in_netns(netnsFd, AF_NETLINK, SOCK_RAW, protocol);
  } catch (error) {
    if (!hasCode(error, 'EPROTONOSUPPORT', 'EAFNOSUPPORT')) throw error;
    const what = `netlink protocol ${String(protocol)}`;
    throw new NetlinkError('NETLINK_UNSUPPORTED', `cannot open a socket: this kernel lacks ${what}`, {
      errno: 'EPROTONOSUPPORT',
      cause: error,
    });
  }
};

/** The end of a dump carries an errno of its own. */
const checkedDump = (
  description: string,
  done: ReceivedMessage,
  replies: readonly ReceivedMessage[],
): readonly ReceivedMessage[] => {
  const errno = done.payload.length >= 4 ? Math.abs(done.payload.readInt32LE(0)) : 0;
  if (errno !== 0) throw refusal(description, { errno, text: undefined }, 0);
  return replies;
};

const overrun = (): NetlinkError =>
  new NetlinkError('NETLINK_OVERRUN', 'answers of the kernel were lost, so the outcome is unknown');
