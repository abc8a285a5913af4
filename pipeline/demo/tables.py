"""Tables of the example, in SQLAlchemy. `sql/demo/tables.sql` creates them, and a test compares the two."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Engine, Identity, MetaData, Numeric, Text, create_engine, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pipeline.postgres.database import Connection, run_sql_file, session

STATUSES = ("pending", "paid", "shipped", "cancelled")


class Base(DeclarativeBase):
    """Base class that maps Python types to PostgreSQL types."""

    metadata = MetaData(schema="public")
    type_annotation_map: ClassVar = {
        str: Text(),
        Decimal: Numeric(12, 2),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
    }


class Order(Base):
    """Order; its items are the `OrderItem` rows with its id."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(server_default="pending")
    currency: Mapped[str] = mapped_column(server_default="EUR")
    total: Mapped[Decimal] = mapped_column(server_default="0")
    note: Mapped[str | None]
    shipping_address: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OrderItem(Base):
    """Line of an order; it can move to another order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    order_id: Mapped[int] = mapped_column(BigInteger, index=True)
    sku: Mapped[str]
    quantity: Mapped[int] = mapped_column(server_default="1")
    unit_price: Mapped[Decimal] = mapped_column(server_default="0")
    attributes: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


def create_tables(connection: Connection) -> None:
    """Create those of the example's tables that are missing, and nothing else.

    Raises:
        InsufficientPrivilege: the role of the connection may not create tables in schema `public`.
    """
    run_sql_file(connection, "demo/tables.sql")


def open_engine(url: str) -> Engine:
    """Create an engine for any libpq URL, including several hosts, TLS files or a service name."""
    return create_engine("postgresql+psycopg://", creator=lambda: session(url, is_autocommit=False))
