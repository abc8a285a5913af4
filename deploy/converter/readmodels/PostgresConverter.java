package readmodels;

import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.sql.Date;
import java.sql.Types;
import java.time.Instant;
import java.time.LocalDate;
import java.util.Calendar;
import java.util.GregorianCalendar;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.connect.data.SchemaBuilder;

/**
 * Debezium converter that keeps the values which the connector's own converters lose.
 *
 * <ul>
 *   <li>An array is sent as the text that PostgreSQL prints: with all of its dimensions, with NaN, and with the era.
 *   <li>A date before Christ keeps its era in a snapshot.
 *   <li>A timestamp beyond 64 bits of microseconds is sent modulo 2^64, which stays unique: PostgreSQL has no timestamp
 *       before 4714 BC.
 * </ul>
 *
 * Source: https://debezium.io/documentation/reference/3.6/development/converters.html
 */
public final class PostgresConverter implements CustomConverter<SchemaBuilder, RelationalColumn> {
    static final String ARRAY = "readmodels.PostgresArray";
    static final String TIMESTAMP = "readmodels.PostgresTimestamp";

    /** The PostgreSQL driver's milliseconds of an infinite date or timestamp, which Debezium sends as microseconds. */
    private static final long POSITIVE_INFINITY = 9_223_372_036_825_200_000L;
    private static final long NEGATIVE_INFINITY = -9_223_372_036_832_400_000L;

    /** The days of an infinite date in a streamed change. */
    private static final int POSITIVE_INFINITE_DAYS = -2_147_472_692;
    private static final int NEGATIVE_INFINITE_DAYS = -2_147_472_691;

    private static final Pattern PRINTED =
            Pattern.compile("(\\d+)-(\\d\\d)-(\\d\\d) (\\d\\d):(\\d\\d):(\\d\\d)(?:\\.(\\d{1,6}))?( BC)?");

    @Override
    public void configure(Properties properties) {}

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        if (column.jdbcType() == Types.ARRAY) {
            registration.register(SchemaBuilder.string().name(ARRAY), value -> value == null ? null : value.toString());
        } else if (column.typeName().equals("date")) {
            registration.register(SchemaBuilder.int32().name("io.debezium.time.Date"), PostgresConverter::days);
        } else if (column.typeName().equals("timestamp") && column.scale().orElse(6) > 3) {
            // Debezium sends milliseconds of one with fewer digits, which 64 bits hold.
            registration.register(SchemaBuilder.int64().name(TIMESTAMP), PostgresConverter::microseconds);
        }
    }

    private static Integer days(Object value) {
        if (value == null || value instanceof Integer) {
            return (Integer) value;
        }
        if (value instanceof LocalDate) {
            return (int) ((LocalDate) value).toEpochDay();
        }
        if (value instanceof Date) {
            return daysOfSnapshot((Date) value);
        }
        throw new IllegalArgumentException("a date as " + value.getClass().getName());
    }

    private static Integer daysOfSnapshot(Date date) {
        if (date.getTime() == POSITIVE_INFINITY) {
            return POSITIVE_INFINITE_DAYS;
        }
        if (date.getTime() == NEGATIVE_INFINITY) {
            return NEGATIVE_INFINITE_DAYS;
        }
        // The driver made it with the same calendar, whose fields are those that PostgreSQL printed.
        Calendar calendar = new GregorianCalendar();
        calendar.setTime(date);
        int year = calendar.get(Calendar.YEAR);
        boolean isBeforeChrist = calendar.get(Calendar.ERA) == GregorianCalendar.BC;
        int month = calendar.get(Calendar.MONTH) + 1;
        int day = calendar.get(Calendar.DAY_OF_MONTH);
        return (int) LocalDate.of(isBeforeChrist ? 1 - year : year, month, day).toEpochDay();
    }

    private static Long microseconds(Object value) {
        if (value == null || value instanceof Long) {
            return (Long) value;
        }
        if (value instanceof Instant) {
            Instant instant = (Instant) value;
            return microseconds(instant.getEpochSecond(), instant.getNano() / 1_000);
        }
        if (value instanceof String) {
            return microsecondsOfSnapshot((String) value);
        }
        throw new IllegalArgumentException("a timestamp as " + value.getClass().getName());
    }

    private static Long microsecondsOfSnapshot(String text) {
        if (text.equals("infinity")) {
            return POSITIVE_INFINITY;
        }
        if (text.equals("-infinity")) {
            return NEGATIVE_INFINITY;
        }
        Matcher found = PRINTED.matcher(text);
        if (!found.matches()) {
            throw new IllegalArgumentException("not a timestamp as PostgreSQL prints it");
        }
        int year = Integer.parseInt(found.group(1));
        LocalDate date = LocalDate.of(
                found.group(8) == null ? year : 1 - year,
                Integer.parseInt(found.group(2)),
                Integer.parseInt(found.group(3)));
        long seconds = date.toEpochDay() * 86_400L
                + Integer.parseInt(found.group(4)) * 3_600L
                + Integer.parseInt(found.group(5)) * 60L
                + Integer.parseInt(found.group(6));
        String fraction = found.group(7) == null ? "" : found.group(7);
        return microseconds(seconds, Long.parseLong((fraction + "000000").substring(0, 6)));
    }

    /** Counts modulo 2^64, as Java's integers do. */
    private static long microseconds(long seconds, long rest) {
        return seconds * 1_000_000L + rest;
    }
}
