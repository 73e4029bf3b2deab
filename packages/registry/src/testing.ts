export { conformanceCases, openConformanceTarget } from './testing/conformance.ts';
export type { ConformanceCase, ConformanceTarget } from './testing/case.ts';
export { storageContract } from './testing/storage-contract.ts';
export type { ContractCase, ContractStorages } from './testing/contract-steps.ts';
