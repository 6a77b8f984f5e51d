/**
 * The folder of this package, which holds `package.json` and the files of its pages. Every build keeps this module one
 * level below it: in `src`, in `dist`, and in the bundle there.
 */
export const packageRoot: URL = new URL('../', import.meta.url);
