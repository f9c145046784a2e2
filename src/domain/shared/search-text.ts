/** Whether the text contains the searched text. Ignores the case. */
export function containsText(text: string, searched: string): boolean {
  return text.toLowerCase().includes(searched.toLowerCase());
}
