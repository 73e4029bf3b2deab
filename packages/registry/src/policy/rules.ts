import { atLeast, fieldsOf, listOf, refuse, text } from '../option-checks.ts';
import type { Check } from '../option-checks.ts';
import { compilePatterns } from '../patterns.ts';
import type { RepositoryPolicy } from './policy.ts';

/** What holds for the repositories that a pattern names. `*` is within a component, `**` across. */
export interface PolicyRule {
  /** Patterns of names: `['prod/**']`. */
  readonly repositories: readonly string[];
  /** Patterns of tags that can be made, but neither moved nor deleted: `['v*']`. Those of all rules that fit count. */
  readonly immutableTags?: readonly string[] | undefined;
  /** Bytes that the blobs of each of these repositories may have together. The first rule that fits and has one counts. */
  readonly quotaBytes?: number | undefined;
}

const rule: Check<PolicyRule> = (value, option) => {
  const fields = fieldsOf<PolicyRule>(
    { repositories: listOf(text), immutableTags: listOf(text), quotaBytes: atLeast(0) },
    ['immutableTags', 'quotaBytes'],
  )(value, option);
  if (fields.repositories.length === 0) refuse(`${option}.repositories`, 'at least one', []);
  if (fields.immutableTags === undefined && fields.quotaBytes === undefined) {
    refuse(option, 'immutableTags or quotaBytes', value);
  }
  return fields;
};

/**
 * Reads rules out of plain data, as a file has them.
 *
 * @param option - how they are called there, for the message
 * @throws {@link RegistryConfigError} `CONFIG_INVALID`: which option, and what it must be
 */
export const parsePolicy = (value: unknown, option = 'policy'): readonly PolicyRule[] => listOf(rule)(value, option);

/**
 * Makes a policy of rules.
 *
 * @example openPolicy([{ repositories: ['prod/**'], immutableTags: ['v*'], quotaBytes: 50 * 1024 ** 3 }])
 */
export function openPolicy(rules: readonly PolicyRule[]): RepositoryPolicy {
  const compiled = rules.map(({ repositories, immutableTags = [], quotaBytes }) => ({
    fits: compilePatterns(repositories),
    isImmutable: compilePatterns(immutableTags),
    quotaBytes,
  }));
  return {
    isImmutable: (name, tag) => compiled.some(({ fits, isImmutable }) => isImmutable(tag) && fits(name)),
    quotaBytes: (name) => compiled.find(({ fits, quotaBytes }) => quotaBytes !== undefined && fits(name))?.quotaBytes,
  };
}
