/** Asks a URL and says how it was answered; throws where that was no success. */
export async function check(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const body = await response.arrayBuffer();
  return `${url} answered ${response.status} with ${body.byteLength} bytes`;
}
