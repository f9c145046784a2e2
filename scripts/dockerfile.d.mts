/** Reads the instructions of a Dockerfile. Knows only the syntax that ours uses: `\` at the end of a line, and `#` at its start. */
export function readDockerfile(folder: string): { keyword: string; text: string }[];
