"""The history of reports: tables for databases, as Parquet files. Only these modules need pyarrow."""
