import JSON
import System
import TL
import Testing

@Suite struct SchemaTests {
    @Test(arguments: TLSchema.layers) func `Every built-in layer is read`(layer: Int) throws {
        let schema = try TLSchema(layer: layer)
        #expect(schema.layer == layer)
        #expect(schema.methodNames.contains("messages.getHistory") && schema.methodNames.contains("req_pq_multi"))
    }

    @Test func `An unknown layer is refused with a list of the available ones`() {
        let error = #expect(throws: TLError.self) { try TLSchema(layer: 1) }
        #expect(
            error?.message
                == "layer 1 is not included, only 229, 201, 181: give the schema of another layer with --schema")
        #expect(error?.exitStatus == .configuration)
    }

    @Test func `A published schema file is read unchanged`() throws {
        let text = """
            // LAYER 7
            int ? = Int;
            boolTrue#997275b5 = Bool;
            vector#1cb5c415 {t:Type} # [ t ] = Vector t;
            rpc_error#2144ca19 error_code:int error_message:string = RpcError;

            leaf#00000001 number:# = Tree;
            node#2 left:%Pair right:leaf rest:vector<%Pair> = Tree; // behind it
            pair#3 a:int
                b:Vector<Vector<long>> = Pair;
            ---functions---
            wrap#00000004 {X:Type} flags2:# fine:flags2.31?true query:!X = X;
            get#5 = Vector<Pair>;
            """
        let schema = try TLSchema(text: Array(text.utf8))
        #expect(schema.layer == 7)
        let pair: JSON = ["_": "pair", "a": 1, "b": [[2], []]]
        let value: JSON = [
            "_": "node", "left": pair, "right": ["_": "leaf", "number": .integer(4_294_967_295)], "rest": [pair],
        ]
        let bytes = try schema.encode(value)
        #expect(try JSON(parsing: TLDecoder(schema).json(of: bytes)) == value)
        #expect(bytes.count == 4 + 2 * 36 + 4 + 4)
        let request = try schema.request("wrap", ["fine": true, "query": ["_": "get"]])
        #expect(request.bytes == [4, 0, 0, 0, 0, 0, 0, 0x80, 5, 0, 0, 0])
        #expect(schema.method("wrap")?.line == "wrap fine:?true query:!X = X")
    }

    @Test(arguments: [
        ("a#1 = A;\nb = B;", "line 2 of the schema: b has no id"),
        ("a#1 = A;\nb#1 = B;", "line 2 of the schema: b has the same id as another constructor"),
        ("a#1 = A;\na#2 = B;", "line 2 of the schema: a is declared twice"),
        ("a#1 x:flags.0?int = A;", "line 1 of the schema: x depends on flags that do not exist"),
        ("a#1 flags:# x:flags.32?int = A;", "line 1 of the schema: x depends on flags that do not exist"),
        ("a#1 x = A;", "line 1 of the schema: a field is expected"),
        ("a#1 x:Map<int> = A;", "line 1 of the schema: only vectors are generic"),
        ("a#1 x:!Y = A;", "line 1 of the schema: '!' is expected before a type variable only"),
        ("a#1 x:int = A", "line 1 of the schema: ';' is expected"),
        ("a#123456789 = A;", "line 1 of the schema: a has no id"),
        ("a#1 x:nobody = A;", "the schema has no constructor for the type nobody"),
        ("a#1 x:%A = A; b#2 = A;", "the schema has no constructor for the type %A"),
        ("--types--", "line 1 of the schema: neither ---types--- nor ---functions---"),
        ("/* a */", "line 1 of the schema: a comment begins with '//'"),
        (
            "a#1 x:Vector<Vector<Vector<Vector<Vector<Vector<Vector<Vector<Vector<int>>>>>>>>> = A;",
            "line 1 of the schema: a type is expected"
        ),
        ("a#1 f:# flags1:# flags2:# flags3:# flags4:# flags5:# = A;", "line 1 of the schema: too many words of flags"),
        ("\u{0}\u{1F}%&", "line 1 of the schema: a name is expected"),
    ]) func `An invalid schema is refused with its line`(text: String, message: String) {
        let error = #expect(throws: TLError.self) { try TLSchema(text: Array(text.utf8)) }
        #expect(error?.message == message)
    }

    @Test func `Decoding a type that contains itself without own bytes ends`() throws {
        let schema = try TLSchema(text: Array("a#1 x:a y:a = A;\nb#2 = B;\nc#3 x:vector<b> = C;".utf8))
        #expect(throws: TLError.self) { try TLDecoder(schema).json(of: [1, 0, 0, 0]) }
        #expect(throws: TLError.self) { try TLDecoder(schema).json(of: [3, 0, 0, 0, 255, 255, 255, 127]) }
    }

    @Test func `A method is described with its parameters`() throws {
        let method = try #require(try TLSchema().method("messages.getHistory"))
        #expect(
            method.line == "messages.getHistory peer:InputPeer offset_id:int offset_date:int add_offset:int limit:int "
                + "max_id:int min_id:int hash:long = messages.Messages")
        #expect(
            method.json["parameters"]?.array?.first?.text == #"{"name":"peer","type":"InputPeer","optional":false}"#)
    }

    @Test func `A constructor is described with the fields that share a flag`() throws {
        let schema = try TLSchema()
        let photo = try #require(schema.constructor("inputMediaPhoto"))
        let video = try #require(photo.parameters.first { $0.name == "video" })
        #expect(video.isOptional && video.comesWith == ["live_photo"])
        #expect(schema.constructors(of: "InputMedia").contains(photo))
        #expect(schema.constructors(of: "Nothing").isEmpty)
    }

    @Test func `Short forms of peers are found and replaced`() throws {
        let schema = try TLSchema()
        let arguments = try JSON(
            parsing: #"{"chat_id":5,"users":["@a",{"_":"inputUserSelf"},7],"peer":"@x","user_id":"@b","unknown":"@c"}"#)
        var places: [TLPlace] = []
        let same = schema.replacing(["InputUser"], in: arguments, of: "messages.createChat") {
            places.append($0)
            return nil
        }
        #expect(same == arguments)
        #expect(places.map(\.path) == ["$.users[0]", "$.users[2]"])
        let changed = schema.replacing(["InputUser"], in: arguments, of: "messages.createChat") { _ in
            ["_": "inputUserEmpty"]
        }
        #expect(changed["users"]?.text == #"[{"_":"inputUserEmpty"},{"_":"inputUserSelf"},{"_":"inputUserEmpty"}]"#)
        let inner = schema.replacing(
            ["InputPeer"], in: ["query": ["_": "messages.getHistory", "peer": "me"]], of: "invokeWithoutUpdates"
        ) { $0.value == "me" && $0.path == "$.query.peer" ? ["_": "inputPeerSelf"] : nil }
        #expect(inner["query"]?["peer"]?["_"]?.string == "inputPeerSelf")
    }
}
