/**
 * Runs `make` once, with the arguments of the first call, and shares its result. A failed call is not kept.
 */
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
