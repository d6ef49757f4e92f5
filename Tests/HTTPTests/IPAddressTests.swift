import Testing

@testable import HTTP

@Suite struct IPAddressTests {
    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
        "223.255.255.255", "192.0.1.1", "2606:4700::1111", "2a00:1450:4001::8a", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ])
    func `Addresses of the public internet are allowed`(text: String) throws {
        #expect(try #require(IPAddress(text)).isPublic)
    }

    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:db8::1",
        "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "100::1", "5f00::1",
    ])
    func `Addresses of special ranges are refused`(text: String) throws {
        #expect(try #require(IPAddress(text)).isPublic == false)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "::g", "host", "[::1]", "0x7f.0.0.1"])
    func `Text in another format is not an address`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func `A denied address is refused in every form, whatever else is allowed`() throws {
        var policies = [AddressPolicy.any, .publicOnly]
        for index in policies.indices {
            policies[index].denied = try ["8.8.0.0/15", "2606:4700::/32", "9.9.9.9"].map {
                try #require(AddressRange($0))
            }
        }
        for policy in policies {
            for text in ["8.8.8.8", "8.9.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700::1", "9.9.9.9"] {
                #expect(try !policy.allows(#require(IPAddress(text))))
            }
            for text in ["8.7.255.255", "8.10.0.0", "2606:4701::1", "9.9.9.8", "9.9.9.10"] {
                #expect(try policy.allows(#require(IPAddress(text))))
            }
        }
    }

    @Test(arguments: ["", "host", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8/8", "::/129", "1.2.3/8"])
    func `Text in another format is not a range of addresses`(text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test func `This machine's own public addresses are refused like private ones`() throws {
        let own = try #require(IPAddress("8.8.8.8"))
        for text in ["8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::1"] {
            let address = try #require(IPAddress(text))
            #expect(!AddressPolicy.publicOnly.allows(address) { $0 == own })
            #expect(AddressPolicy.publicOnly.allows(address) { _ in false })
            #expect(AddressPolicy.any.allows(address) { $0 == own })
        }
    }

    @Test func `The addresses of this machine's interfaces are known as its own`() throws {
        #expect(try OwnAddresses.contain(#require(IPAddress("127.0.0.1"))))
        #expect(try !OwnAddresses.contain(#require(IPAddress("192.0.2.1"))))
    }
}
