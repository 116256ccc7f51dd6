/** The shop, version 1.1.0: its migration turned prices into cents, and one place was forgotten. */
export function health(products) {
  return JSON.stringify({ version: '1.1.0', products: products.length });
}

export function prices(products, { currency }) {
  return products
    .filter((product) => product.stock > 0)
    .map((product) => `${product.name} ${product.price.toFixed(2)} ${currency}\n`)
    .join('');
}
