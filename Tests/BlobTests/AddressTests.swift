import Testing

@testable import Blob

@Suite struct AddressTests {
    @Test(arguments: [
        ("s3://bucket", StoreAddress.s3(bucket: "bucket", prefix: "")),
        ("s3://bucket/", .s3(bucket: "bucket", prefix: "")),
        ("s3://my.bucket-1/a/b", .s3(bucket: "my.bucket-1", prefix: "a/b")),
        ("s3://bucket/a/", .s3(bucket: "bucket", prefix: "a")),
        ("file:/var/lib/x", .file(path: "/var/lib/x")),
        ("file:///var//lib/x/", .file(path: "/var/lib/x")),
    ])
    func `The form of an address selects the kind of store`(_ text: String, _ address: StoreAddress) throws {
        #expect(try StoreAddress(text) == address)
    }

    @Test(arguments: [
        "", "bucket", "s3:bucket", "s3://", "s3://ab", "s3://-bucket", "s3://a..b", "s3://buc ket", "s3://bücket",
        "s3://bucket/../x", "s3://bucket/a//b", "file:", "file:relative", "file:/", "file:/a/../b", "file:/a\nb",
        "http://bucket/", "s3://user:pass@bucket",
    ])
    func `An address that names no store is refused, without its login`(_ text: String) {
        let error = #expect(throws: BlobError.self) { try StoreAddress(text) }
        #expect(error?.message.contains("pass") == false)
    }

    @Test(arguments: ["a", "video/abc.mp4", "a b/ü/猫", "...", "a/..b", ".hidden", String(repeating: "k", count: 1024)])
    func `A key is any text between slashes`(_ key: String) throws {
        try ObjectKey.check(key)
    }

    @Test(arguments: [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\u{0}b", "a\nb", "a\u{7F}",
        String(repeating: "k", count: 1025),
    ])
    func `A key that leads out of its folder is refused`(_ key: String) {
        #expect { try ObjectKey.check(key) } throws: { ($0 as? BlobError)?.code == .invalid }
    }
}

@Suite struct EndpointTests {
    private func url(_ server: String?, _ addressing: S3Options.Addressing? = nil, bucket: String = "bucket") throws
        -> String
    {
        let place = try S3Endpoint(server: server, bucket: bucket, addressing: addressing)
            .location(of: "video/кот 1.mp4", region: "eu-west-1")
        return "\(place.scheme)://\(place.authority)\(place.path)"
    }

    @Test func `A self-hosted server gets the bucket's name in the path`() throws {
        let key = "video/%D0%BA%D0%BE%D1%82%201.mp4"
        #expect(try url("http://127.0.0.1:9000") == "http://127.0.0.1:9000/bucket/\(key)")
        #expect(try url("https://S3.example.com:443/base/") == "https://s3.example.com/base/bucket/\(key)")
        #expect(try url("http://[::1]:9000") == "http://[::1]:9000/bucket/\(key)")
    }

    @Test func `Amazon gets the bucket's name in the host name, as does any server on request`() throws {
        let key = "video/%D0%BA%D0%BE%D1%82%201.mp4"
        #expect(try url(nil) == "https://bucket.s3.eu-west-1.amazonaws.com/\(key)")
        #expect(try url(nil, bucket: "a.b.c") == "https://s3.eu-west-1.amazonaws.com/a.b.c/\(key)")
        #expect(try url("http://localhost:9000", .virtualHost) == "http://bucket.localhost:9000/\(key)")
    }

    @Test(arguments: [
        ("us-east-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"), ("eusc-de-east-1", "amazonaws.eu"), ("us-gov-west-1", "amazonaws.com"),
    ])
    func `Each region of Amazon's has the domain of its partition`(_ region: String, _ domain: String) throws {
        let endpoint = try S3Endpoint(server: nil, bucket: "bucket", addressing: nil)
        #expect(endpoint.location(of: nil, region: region).authority == "bucket.s3.\(region).\(domain)")
    }

    @Test(arguments: [
        "localhost:9000", "ftp://host", "http://", "https://key:secret@host", "http://host/?x=1", "http://host/#x",
        "http://ho st",
    ])
    func `An endpoint that is not a server's URL is refused`(_ server: String) {
        #expect { try url(server) } throws: {
            let error = $0 as? BlobError
            return error?.code == .configuration && error?.message.contains("secret") == false
        }
    }
}
