import Crypto
import TL

/// Makes the request that binds a temporary key to a permanent one.
enum KeyBinding {
    /// Returns `auth.bindTempAuthKey`, whose inner message must have the same id as the message that holds the request.
    ///
    /// Source: https://core.telegram.org/method/auth.bindTempAuthKey
    static func request(
        _ binding: Session.Binding, of temporary: AuthKey, sessionID: Int64, messageID: Int64, _ random: RandomSource
    ) -> [UInt8] {
        let nonce = random.long()
        let inner = TLBytes { writer in
            writer.word(ServiceID.bindInner)
            writer.long(nonce)
            writer.long(temporary.id)
            writer.long(binding.permanent.id)
            writer.long(sessionID)
            writer.int(binding.expiresAt)
        }
        let encrypted = encryptedWithVersion1(inner, messageID: messageID, binding.permanent, random)
        return TLBytes { writer in
            writer.word(ServiceID.bindTemporaryKey)
            writer.long(binding.permanent.id)
            writer.long(nonce)
            writer.int(binding.expiresAt)
            writer.bytes(encrypted)
        }
    }

    /// Returns a message of MTProto 1.0 under the permanent key; random numbers take the places of salt and session.
    private static func encryptedWithVersion1(
        _ body: [UInt8], messageID: Int64, _ key: AuthKey, _ random: RandomSource
    ) -> [UInt8] {
        var plain = TLBytes { writer in
            writer.raw(random.bytes(16))
            writer.long(messageID)
            writer.int(0)
            writer.int(Int32(body.count))
            writer.raw(body)
        }
        let messageKey = Hash.sha1(plain[...])[4...]
        plain += random.bytes(-plain.count & 15)
        return TLBytes { writer in
            writer.long(key.id)
            writer.raw(messageKey)
            writer.raw(MessageCipher(version1: key, messageKey: messageKey).encrypted(plain))
        }
    }
}
