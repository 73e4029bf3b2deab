export { seccompFlags } from './action.ts';
export { seccompArch, type SeccompArch } from './architecture.ts';
export { compileSeccomp, type CompileOptions } from './compile.ts';
export { defaultSeccompProfile, type DefaultProfileOptions } from './default-profile.ts';
export { parseDockerProfile, type DockerProfileFacts } from './docker-profile.ts';
