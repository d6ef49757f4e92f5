import Testing
import TL

@Suite struct SchemaTests {
    @Test(arguments: TLSchema.layers) func `Each layer that is built in is read`(layer: Int) throws {
        #expect(try TLSchema(layer: layer).layer == layer)
    }
}
