import TL

/// The messages of the protocol itself. Source: https://core.telegram.org/mtproto/service_messages
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

    /// How those begin that want an acknowledgement as calls do.
    static let content = [stateRequest, resendRequest, dropAnswer].map { id in TLBytes { $0.word(id) } }
}

/// What several messages are made of: an id, and many numbers of messages.
enum ServiceMessage {
    /// The most that one message may name.
    static let mostIDs = 8192

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

    /// A constructor with one number: `destroy_session`, `rpc_drop_answer`.
    static func about(_ constructor: UInt32, _ id: Int64) -> [UInt8] {
        TLBytes { writer in
            writer.word(constructor)
            writer.long(id)
        }
    }
}
