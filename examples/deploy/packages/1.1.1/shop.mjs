/** The shop, version 1.1.1: reads the prices as they are kept now. */
export function health(products) {
  return JSON.stringify({ version: '1.1.1', products: products.length });
}

export function prices(products, { currency }) {
  return products
    .filter((product) => product.stock > 0)
    .map((product) => `${product.name} ${(product.cents / 100).toFixed(2)} ${currency}\n`)
    .join('');
}
