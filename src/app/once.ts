/** The first call does the work, and its argument counts; later ones get the same result. A failure may be tried again. */
export function once<Argument extends unknown[], Result>(
  make: (...argument: Argument) => Promise<Result>,
): (...argument: Argument) => Promise<Result> {
  let made: Promise<Result> | undefined;
  return (...argument) => {
    if (made === undefined) {
      made = make(...argument);
      made.catch(() => {
        made = undefined;
      });
    }
    return made;
  };
}
