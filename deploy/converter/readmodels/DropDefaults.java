package readmodels;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.ConnectSchema;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Kafka Connect transform that removes the defaults of nullable columns from the row images of Debezium's envelopes.
 *
 * <p>Avro converters read a row by {@link Struct#get}, which returns the default of a field in place of NULL. A record
 * whose images have no such default passes unchanged, and so does every record that is no envelope.
 */
public final class DropDefaults<R extends ConnectRecord<R>> implements Transformation<R> {
    private static final String[] IMAGES = {"before", "after"};

    /** All schemas are forgotten at this number, because Debezium makes a new one whenever a table changes. */
    private static final int MOST_SCHEMAS = 10_000;

    /** Schemas of envelopes without defaults, by identity: Debezium sends all rows of a table with one schema. */
    private final Map<Schema, Schema> known = new IdentityHashMap<>();

    @Override
    public void configure(Map<String, ?> settings) {}

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public void close() {}

    @Override
    public R apply(R record) {
        if (!(record.value() instanceof Struct)) {
            return record;
        }
        Struct envelope = (Struct) record.value();
        Schema schema = withoutDefaults(envelope.schema());
        if (schema == envelope.schema()) {
            return record;
        }
        return record.newRecord(
                record.topic(),
                record.kafkaPartition(),
                record.keySchema(),
                record.key(),
                schema,
                copy(envelope, schema),
                record.timestamp(),
                record.headers());
    }

    private Schema withoutDefaults(Schema envelope) {
        Schema schema = known.get(envelope);
        if (schema == null) {
            if (known.size() == MOST_SCHEMAS) {
                known.clear();
            }
            schema = ofEnvelope(envelope);
            known.put(envelope, schema);
        }
        return schema;
    }

    private static Schema ofEnvelope(Schema envelope) {
        Map<String, Schema> changed = new HashMap<>();
        for (String image : IMAGES) {
            Field field = envelope.field(image);
            if (field != null && field.schema().type() == Schema.Type.STRUCT) {
                changed.put(image, ofRow(field.schema()));
            }
        }
        return withFields(envelope, changed);
    }

    private static Schema ofRow(Schema row) {
        Map<String, Schema> changed = new HashMap<>();
        for (Field field : row.fields()) {
            if (field.schema().isOptional() && field.schema().defaultValue() != null) {
                changed.put(field.name(), withoutDefault(field.schema()));
            }
        }
        return withFields(row, changed);
    }

    private static Schema withoutDefault(Schema column) {
        boolean isStruct = column.type() == Schema.Type.STRUCT;
        boolean isMap = column.type() == Schema.Type.MAP;
        return new ConnectSchema(
                column.type(),
                column.isOptional(),
                null,
                column.name(),
                column.version(),
                column.doc(),
                column.parameters(),
                isStruct ? column.fields() : null,
                isMap ? column.keySchema() : null,
                isMap || column.type() == Schema.Type.ARRAY ? column.valueSchema() : null);
    }

    /** Returns the schema with other schemas of some fields, or the schema itself if none differs. */
    private static Schema withFields(Schema struct, Map<String, Schema> changed) {
        List<Field> fields = new ArrayList<>();
        boolean isSame = true;
        for (Field field : struct.fields()) {
            Schema schema = changed.getOrDefault(field.name(), field.schema());
            isSame &= schema == field.schema();
            fields.add(new Field(field.name(), field.index(), schema));
        }
        if (isSame) {
            return struct;
        }
        return new ConnectSchema(
                struct.type(),
                struct.isOptional(),
                null,
                struct.name(),
                struct.version(),
                struct.doc(),
                struct.parameters(),
                fields,
                null,
                null);
    }

    private static Struct copy(Struct struct, Schema schema) {
        Struct copied = new Struct(schema);
        for (Field field : schema.fields()) {
            Object value = struct.getWithoutDefault(field.name());
            boolean isOther = value instanceof Struct && ((Struct) value).schema() != field.schema();
            copied.put(field, isOther ? copy((Struct) value, field.schema()) : value);
        }
        return copied;
    }
}
