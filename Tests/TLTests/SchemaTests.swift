import TL
import Testing

@Suite struct SchemaTests {
    @Test(arguments: TLSchema.layers) func `Each layer that is built in is read`(layer: Int) throws {
        let schema = try TLSchema(layer: layer)
        #expect(schema.layer == layer)
        #expect(schema.methodNames.contains("messages.getHistory") && schema.methodNames.contains("req_pq_multi"))
    }
}
