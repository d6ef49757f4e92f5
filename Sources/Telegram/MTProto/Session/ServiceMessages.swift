import TL

/// The constructors of the protocol's own messages. Source: https://core.telegram.org/mtproto/service_messages
enum ServiceID {
    static let container: UInt32 = 0x73f1_f8dc
    static let result: UInt32 = 0xf35c_6d01
    static let error: UInt32 = 0x2144_ca19
    static let ack: UInt32 = 0x62d6_b459
    static let badMessage: UInt32 = 0xa7ef_f811
    static let badSalt: UInt32 = 0xedab_447b
    static let stateRequest: UInt32 = 0xda69_fb52
    static let stateInfo: UInt32 = 0x04de_b57d
    static let allInfo: UInt32 = 0x8cc0_d131
    static let detailedInfo: UInt32 = 0x276d_3ec6
    static let newDetailedInfo: UInt32 = 0x809d_b6df
    static let resendRequest: UInt32 = 0x7d86_1a08
    static let resendAnswers: UInt32 = 0x8610_baeb
    static let newSession: UInt32 = 0x9ec2_0908
    static let pong: UInt32 = 0x3477_73c5
    static let futureSalts: UInt32 = 0xae50_0895
    static let sessionDestroyed: UInt32 = 0xe220_45fc
    static let noSession: UInt32 = 0x62d3_50c9

    static let pingDelayDisconnect: UInt32 = 0xf342_7b8c
    static let getFutureSalts: UInt32 = 0xb921_bd04
    static let destroySession: UInt32 = 0xe751_2126
    static let dropAnswer: UInt32 = 0x58e4_a740
    static let bindTemporaryKey: UInt32 = 0xcdd4_2a05
    static let bindInner: UInt32 = 0x75a3_f765

    /// The first bytes of the service messages that the server must acknowledge, as it does calls.
    static let content = [stateRequest, resendRequest, dropAnswer].map { id in TLBytes { $0.word(id) } }
}

/// Writes the protocol's own messages.
enum ServiceMessage {
    /// The most ids that one message may hold.
    static let maxIDs = 8192

    static func list(_ constructor: UInt32, _ ids: some Collection<Int64>) -> [UInt8] {
        TLBytes { writer in
            writer.word(constructor)
            writer.vector(count: ids.count)
            for id in ids { writer.long(id) }
        }
    }

    static func stateInfo(of request: Int64, _ states: [UInt8]) -> [UInt8] {
        TLBytes { writer in
            writer.word(ServiceID.stateInfo)
            writer.long(request)
            writer.bytes(states)
        }
    }

    static func ping(_ id: Int64, disconnectDelay seconds: Int32) -> [UInt8] {
        TLBytes { writer in
            writer.word(ServiceID.pingDelayDisconnect)
            writer.long(id)
            writer.int(seconds)
        }
    }

    static func getFutureSalts(_ count: Int32) -> [UInt8] {
        TLBytes { writer in
            writer.word(ServiceID.getFutureSalts)
            writer.int(count)
        }
    }

    /// Writes a constructor with one number: `destroy_session`, `rpc_drop_answer`.
    static func about(_ constructor: UInt32, _ id: Int64) -> [UInt8] {
        TLBytes { writer in
            writer.word(constructor)
            writer.long(id)
        }
    }

    static func container(_ messages: [Outgoing]) -> [UInt8] {
        var writer = TLWriter(reserving: messages.reduce(8) { $0 + 16 + $1.body.count })
        writer.word(ServiceID.container)
        writer.int(Int32(messages.count))
        for message in messages {
            writer.long(message.id)
            writer.int(message.sequence)
            writer.int(Int32(message.body.count))
            writer.raw(message.body)
        }
        return writer.bytes
    }
}

/// A message of the server, alone in its packet or in a container.
struct Incoming {
    let id: Int64
    let sequence: Int32
    var body: ArraySlice<UInt8>
    var isAlone = true
    var isUnpacked = false

    private static let maxMessagesInContainer = 1024

    /// Reads the messages of a container.
    func contents() throws(MTProtoError) -> [Incoming] {
        try reading("a container", body) { (reader) throws(TLError) in
            try reader.expect(ServiceID.container)
            let count = try reader.count(elementBytes: 20)
            guard count <= Incoming.maxMessagesInContainer else {
                throw TLError(.oversized, "too many messages", offset: 4)
            }
            var messages: [Incoming] = []
            for _ in 0..<count {
                let (id, sequence, length) = (try reader.long(), try reader.int(), Int(try reader.int()))
                let body = try reader.raw(length)
                guard id & 1 == 1, length >= 4, length % 4 == 0 else {
                    throw TLError(.oversized, "a message with an invalid id or length", offset: reader.offset)
                }
                messages.append(Incoming(id: id, sequence: sequence, body: body, isAlone: false))
            }
            return messages
        }
    }

    /// Reads a message that holds only the ids of other messages.
    func ids() throws(MTProtoError) -> [Int64] { try Incoming.ids(body) }

    static func ids(_ body: ArraySlice<UInt8>) throws(MTProtoError) -> [Int64] {
        try reading("a list of messages", body) { (reader) throws(TLError) in
            _ = try reader.word()
            return try reader.longs()
        }
    }
}

/// `rpc_result`.
struct CallResult {
    /// The id of the message that held the call.
    let request: Int64
    /// The result, which may still be packed.
    private let content: ArraySlice<UInt8>

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        (request, content) = try reading("a result", body) { (reader) throws(TLError) in
            _ = try reader.word()
            let request = try reader.long()
            return (request, try reader.raw(reader.rest.count))
        }
    }

    func unpacked() throws(MTProtoError) -> Result<ArraySlice<UInt8>, TelegramRPCError> {
        let result = TLReader(content).next == Gzip.id ? try Gzip.unpacked(content)[...] : content
        guard TLReader(result).next == ServiceID.error else { return .success(result) }
        return .failure(
            try reading("an error", result) { (reader) throws(TLError) in
                try reader.expect(ServiceID.error)
                return TelegramRPCError(code: Int(try reader.int()), text: try reader.string())
            })
    }
}

/// `bad_msg_notification` and `bad_server_salt`.
struct BadMessage {
    /// The id of the message that the server refuses.
    let id: Int64
    let code: Int32
    /// The salt to use from now on.
    let salt: Int64?

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        self = try reading("a refusal", body) { (reader) throws(TLError) in
            let hasSalt = reader.next == ServiceID.badSalt
            try reader.expect(hasSalt ? ServiceID.badSalt : ServiceID.badMessage)
            let id = try reader.long()
            _ = try reader.int()
            return BadMessage(id: id, code: try reader.int(), salt: hasSalt ? try reader.long() : nil)
        }
    }

    private init(id: Int64, code: Int32, salt: Int64?) { (self.id, self.code, self.salt) = (id, code, salt) }

    /// Is true if the refused message's id shows a wrong time: too low (16) or too high (17).
    var isAboutTime: Bool { code == 16 || code == 17 }
}

/// `new_session_created`.
struct NewServerSession {
    /// The server knows no message with an id below this.
    let firstMessage: Int64
    let uniqueID: Int64
    let salt: Int64

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        (firstMessage, uniqueID, salt) = try reading("a notice of a new session", body) { (reader) throws(TLError) in
            _ = try reader.word()
            return (try reader.long(), try reader.long(), try reader.long())
        }
    }
}

/// `pong` and `future_salts`, the answers to requests of the protocol itself.
struct ServiceAnswer {
    let request: Int64
    /// The salts; a `pong` has none.
    let salts: [Salts.Future]

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        (request, salts) = try reading("an answer", body) { (reader) throws(TLError) in
            let kind = try reader.word()
            let request = try reader.long()
            guard kind == ServiceID.futureSalts else {
                _ = try reader.long()
                return (request, [Salts.Future]())
            }
            _ = try reader.int()
            var salts: [Salts.Future] = []
            for _ in 0..<(try reader.count(elementBytes: 16)) {
                let (since, until, salt) = (try reader.int(), try reader.int(), try reader.long())
                salts.append(Salts.Future(since: since, until: until, salt: salt))
            }
            return (request, salts)
        }
    }
}

/// `msgs_state_info` and `msgs_all_info`: one byte for each message, whose lowest three bits show whether the server has it.
struct MessageStates {
    /// The id of the question that is answered; nil for states that the server sends without a question.
    let question: Int64?
    /// The ids of the messages; nil when they are those of the question.
    let ids: [Int64]?
    let states: ArraySlice<UInt8>

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        (question, ids, states) = try reading("states of messages", body) {
            (reader) throws(TLError) -> (Int64?, [Int64]?, ArraySlice<UInt8>) in
            guard try reader.word() == ServiceID.allInfo else { return (try reader.long(), nil, try reader.bytes()) }
            return (nil, try reader.longs(), try reader.bytes())
        }
    }
}

/// `msg_detailed_info` and `msg_new_detailed_info` announce an answer that is long, or that was sent before.
struct AnswerAnnouncement {
    let answer: Int64

    init(_ body: ArraySlice<UInt8>) throws(MTProtoError) {
        answer = try reading("an announcement", body) { (reader) throws(TLError) in
            if try reader.word() == ServiceID.detailedInfo { _ = try reader.long() }
            let answer = try reader.long()
            _ = (try reader.int(), try reader.int())
            return answer
        }
    }
}
