/** The shop, version 1.0.0: what is in stock and what it costs. */
export function health(products) {
  return JSON.stringify({ version: '1.0.0', products: products.length });
}

export function prices(products, { currency }) {
  return products
    .filter((product) => product.stock > 0)
    .map((product) => `${product.name} ${product.price.toFixed(2)} ${currency}\n`)
    .join('');
}
