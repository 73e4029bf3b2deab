import { atLeast, fieldsOf, listOf, refuse, text } from '../option-checks.ts';
import type { Check } from '../option-checks.ts';

/**
 * What stays in the repositories that a pattern names. A rule with one of the three `keep…` governs tags: of these it removes
 * what none of its `keep…` wants. A tag that no rule governs stays, and so does one that any of the rules that govern it wants.
 * `*` is within a component, `**` across.
 */
export interface RetentionRule {
  /** Patterns of names: `['team/**']`. */
  readonly repositories: readonly string[];
  /** Patterns of the tags that the rule governs. Default: all. */
  readonly tags?: readonly string[] | undefined;
  /** So many of them, those that were made or moved last. */
  readonly keepNewest?: number | undefined;
  /** Those that were made or moved within this time. */
  readonly keepWithinMs?: number | undefined;
  /** Those that one of these patterns names. */
  readonly keepTags?: readonly string[] | undefined;
  /**
   * Removes manifests without a tag that were pushed longer ago, and that no kept one needs. Without it only tags are removed.
   */
  readonly removeUntaggedAfterMs?: number | undefined;
}

const OPTIONAL = ['tags', 'keepNewest', 'keepWithinMs', 'keepTags', 'removeUntaggedAfterMs'] as const;

const rule: Check<RetentionRule> = (value, option) => {
  const patterns = listOf(text);
  const count = atLeast(0);
  const fields = fieldsOf<RetentionRule>(
    {
      repositories: patterns,
      tags: patterns,
      keepNewest: count,
      keepWithinMs: count,
      keepTags: patterns,
      removeUntaggedAfterMs: count,
    },
    OPTIONAL,
  )(value, option);
  if (fields.repositories.length === 0) refuse(`${option}.repositories`, 'at least one', []);
  if (!governsTags(fields) && fields.removeUntaggedAfterMs === undefined) {
    refuse(option, 'keepNewest, keepWithinMs, keepTags or removeUntaggedAfterMs', value);
  }
  if (fields.tags !== undefined && !governsTags(fields)) {
    refuse(`${option}.tags`, 'keepNewest, keepWithinMs or keepTags beside it', fields.tags);
  }
  return fields;
};

/** Without a wish to keep something, nothing is removed: a rule that was left half-written must not empty a repository. */
export const governsTags = ({ keepNewest, keepWithinMs, keepTags }: RetentionRule): boolean =>
  keepNewest !== undefined || keepWithinMs !== undefined || keepTags !== undefined;

/**
 * Reads rules out of plain data, as a file has them.
 *
 * @param option - how they are called there, for the message
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`: which option, and what it must be
 */
export const parseRetention = (value: unknown, option = 'retention'): readonly RetentionRule[] =>
  listOf(rule)(value, option);
