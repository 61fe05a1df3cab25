CREATE TABLE migrations (name text PRIMARY KEY);

CREATE TABLE products (
    sku   text PRIMARY KEY,
    name  text NOT NULL,
    cents integer NOT NULL CHECK (cents >= 0),
    stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE orders (
    id       bigserial PRIMARY KEY,
    customer text NOT NULL,
    cents    integer NOT NULL CHECK (cents >= 0)
);

INSERT INTO migrations VALUES ('0001_products'), ('0002_orders');
INSERT INTO products VALUES ('tea', 'Darjeeling, 100 g', 790, 40), ('pot', 'Tea pot', 2450, 3);
