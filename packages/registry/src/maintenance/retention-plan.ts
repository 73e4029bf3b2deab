import type { Digest } from '../names.ts';
import { compareBytes } from '../pagination.ts';
import { compilePatterns } from '../patterns.ts';
import type { ManifestEntry, TagEntry } from '../storage.ts';
import { governsTags } from './retention-rules.ts';
import type { RetentionRule } from './retention-rules.ts';

/** What a repository has. */
export interface RepositoryInventory {
  readonly name: string;
  readonly tags: readonly InventoryTag[];
  readonly manifests: readonly InventoryManifest[];
}

export interface InventoryTag extends TagEntry {
  readonly immutable: boolean;
}

export interface InventoryManifest extends Pick<ManifestEntry, 'digest' | 'subject' | 'sizeBytes' | 'pushedAtMs'> {
  /** Manifests of the repository that it mentions, as an index does. */
  readonly members: readonly Digest[];
  /** It is damaged, so nobody knows what it mentions. */
  readonly unreadable?: boolean | undefined;
}

export interface RetentionPlan {
  readonly name: string;
  readonly tags: readonly RemovedTag[];
  /** In an order in which what is left is whole at any time: an index before its members, a subject before its referrers. */
  readonly manifests: readonly RemovedManifest[];
}

export interface RemovedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly reason: string;
}

export interface RemovedManifest {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly reason: string;
}

/** `sha256-<hex>.sig`: how signatures and the like were attached before there were referrers, and still are. */
const ATTACHED = /^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})(?:\.[\w.-]+)?$/;

/** What a tag is attached to by its name. */
export function subjectOfTag(tag: string): Digest | undefined {
  const [, algorithm, hex] = ATTACHED.exec(tag) ?? [];
  if (algorithm === undefined || hex?.length !== (algorithm === 'sha256' ? 64 : 128)) return undefined;
  return `${algorithm as 'sha256' | 'sha512'}:${hex}`;
}

/**
 * Says what rules remove from a repository, and why. Whatever they say, these stay: immutable tags with what they name; members
 * of a kept index; what refers to a kept manifest, by `subject` or by a tag such as `sha256-<hex>.sig`, so that signatures
 * and bills of materials live and die with their subject; the subject of a kept manifest; all manifests, where one is damaged, or
 * a tag leads to one that isn't there.
 */
export function planRetention(
  inventory: RepositoryInventory,
  rules: readonly RetentionRule[],
  nowMs: number,
): RetentionPlan {
  const { name } = inventory;
  const fitting = rules.filter(({ repositories }) => compilePatterns(repositories)(name));
  const present = new Set(inventory.manifests.map(({ digest }) => digest));
  const attached = inventory.tags.filter(({ tag, immutable }) => {
    const subject = subjectOfTag(tag);
    return !immutable && subject !== undefined && present.has(subject);
  });
  const governed = new Set(attached);
  const tags = planTags(
    inventory.tags.filter((tag) => !governed.has(tag)),
    fitting,
    nowMs,
  );
  const manifests = planManifests({ inventory, attached, removedTags: tags }, fitting, nowMs);
  const removed = new Set(manifests.map(({ digest }) => digest));
  const orphans = attached.filter(({ tag }) => removed.has(subjectOfTag(tag) ?? 'sha256:'));
  return {
    name,
    tags: [
      ...tags,
      ...orphans.map(({ tag, digest }) => ({ tag, digest, reason: 'what it is attached to is removed' })),
    ],
    manifests,
  };
}

function planTags(
  tags: readonly InventoryTag[],
  rules: readonly RetentionRule[],
  nowMs: number,
): readonly RemovedTag[] {
  const reasons = new Map<InventoryTag, string>();
  const kept = new Set<InventoryTag>(tags.filter(({ immutable }) => immutable));
  for (const rule of rules.filter((candidate) => governsTags(candidate))) {
    const isGoverned = compilePatterns(rule.tags ?? ['**']);
    const isWanted = compilePatterns(rule.keepTags ?? []);
    const governed = tags.filter(({ tag }) => isGoverned(tag)).sort(newestFirst);
    for (const [place, entry] of governed.entries()) {
      const ageMs = nowMs - entry.updatedAtMs;
      const keep =
        place < (rule.keepNewest ?? 0) ||
        (rule.keepWithinMs !== undefined && ageMs <= rule.keepWithinMs) ||
        isWanted(entry.tag);
      if (keep) kept.add(entry);
      else reasons.set(entry, reasonOf(rule));
    }
  }
  return tags
    .filter((entry) => reasons.has(entry) && !kept.has(entry))
    .map((entry) => ({ tag: entry.tag, digest: entry.digest, reason: reasons.get(entry) ?? '' }));
}

/** Of two of the same age, the later name: `v10` and not `v1`. */
const newestFirst = (a: InventoryTag, b: InventoryTag): number =>
  b.updatedAtMs - a.updatedAtMs || compareBytes(b.tag, a.tag);

function reasonOf({ keepNewest, keepWithinMs, keepTags }: RetentionRule): string {
  const whys = [
    keepNewest === undefined ? [] : [`not one of the newest ${String(keepNewest)}`],
    keepWithinMs === undefined ? [] : [`older than ${String(keepWithinMs)} ms`],
    keepTags === undefined ? [] : [`not ${keepTags.join(' or ')}`],
  ];
  return whys.flat().join(', ');
}

interface Remaining {
  readonly inventory: RepositoryInventory;
  /** Tags that live and die with what their name says. */
  readonly attached: readonly TagEntry[];
  readonly removedTags: readonly RemovedTag[];
}

function planManifests(
  { inventory, attached, removedTags }: Remaining,
  rules: readonly RetentionRule[],
  nowMs: number,
): readonly RemovedManifest[] {
  const ages = rules.flatMap(({ removeUntaggedAfterMs }) => removeUntaggedAfterMs ?? []);
  if (ages.length === 0 || isIncomplete(inventory)) return [];
  // Who wants to keep longer is heard.
  const ageMs = Math.max(...ages);
  const gone = new Set([...removedTags, ...attached].map(({ tag }) => tag));
  const tagged = new Set(inventory.tags.filter(({ tag }) => !gone.has(tag)).map(({ digest }) => digest));
  const needs = new Bonds(inventory.manifests, attached);
  const attachments = new Set(attached.map(({ digest }) => digest));
  const roots = inventory.manifests.filter(
    ({ digest, pushedAtMs }) => tagged.has(digest) || (nowMs - pushedAtMs <= ageMs && !attachments.has(digest)),
  );
  const kept = reach(
    roots.map(({ digest }) => digest),
    (digest) => needs.keptWith(digest),
  );
  const removed = inventory.manifests.filter(({ digest }) => !kept.has(digest));
  const order = orderOf(removed, needs);
  const reason = `without a tag, and older than ${String(ageMs)} ms`;
  return order.map(({ digest, sizeBytes }) => ({ digest, sizeBytes, reason }));
}

/** Whether something may be needed by a manifest that can't be read now. */
function isIncomplete({ tags, manifests }: RepositoryInventory): boolean {
  const present = new Set(manifests.map(({ digest }) => digest));
  return manifests.some(({ unreadable }) => unreadable) || tags.some(({ digest }) => !present.has(digest));
}

/** What belongs together. */
class Bonds {
  readonly #manifests: ReadonlyMap<Digest, InventoryManifest>;
  readonly #referrers = new Map<Digest, Digest[]>();

  constructor(manifests: readonly InventoryManifest[], attached: readonly TagEntry[]) {
    this.#manifests = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
    for (const { digest, subject } of manifests) if (subject !== undefined) this.#refer(subject, digest);
    for (const { tag, digest } of attached) this.#refer(subjectOfTag(tag) ?? digest, digest);
  }

  #refer(subject: Digest, referrer: Digest): void {
    const referrers = this.#referrers.get(subject);
    if (referrers === undefined) this.#referrers.set(subject, [referrer]);
    else referrers.push(referrer);
  }

  /** What is below a manifest: its members, and what refers to it. */
  below(digest: Digest): readonly Digest[] {
    return [...(this.#manifests.get(digest)?.members ?? []), ...(this.#referrers.get(digest) ?? [])];
  }

  /** What must stay when it stays. */
  keptWith(digest: Digest): readonly Digest[] {
    const subject = this.#manifests.get(digest)?.subject;
    return subject === undefined ? this.below(digest) : [...this.below(digest), subject];
  }
}

/** Everything that can be reached from some. */
function reach(from: readonly Digest[], next: (digest: Digest) => readonly Digest[]): ReadonlySet<Digest> {
  const reached = new Set<Digest>();
  const rest = [...from];
  for (let digest = rest.pop(); digest !== undefined; digest = rest.pop()) {
    if (reached.has(digest)) continue;
    reached.add(digest);
    for (const other of next(digest)) rest.push(other);
  }
  return reached;
}

/** What is above comes first: the deepest places are found by walking down, with a stack of its own for long chains. */
function orderOf(manifests: readonly InventoryManifest[], bonds: Bonds): readonly InventoryManifest[] {
  const rest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const bottomUp: InventoryManifest[] = [];
  const stack: (Digest | InventoryManifest)[] = manifests.map(({ digest }) => digest);
  for (let step = stack.pop(); step !== undefined; step = stack.pop()) {
    if (typeof step !== 'string') bottomUp.push(step);
    else {
      const manifest = rest.get(step);
      if (manifest === undefined) continue;
      rest.delete(step);
      // It is met again when all below it is done.
      stack.push(manifest);
      for (const below of bonds.below(step)) stack.push(below);
    }
  }
  return bottomUp.reverse();
}
