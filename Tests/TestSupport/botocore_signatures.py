"""Signatures of Amazon's own signer for the cases in a JSON file: a list of requests, answered with a list of signatures."""
import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode


def signature(case):
    moment = datetime.datetime.strptime(case["time"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda *_, **__: moment
    credentials = Credentials(case["access_key"], case["secret_key"], case.get("token"))
    url = case["endpoint"] + percent_encode(case["path"], safe="/~")
    request = AWSRequest(case["method"], url, params=dict(case["query"]), headers=dict(case["headers"]))
    if "expires" in case:
        signer = botocore.auth.S3SigV4QueryAuth(credentials, "s3", case["region"], expires=case["expires"])
        signer.add_auth(request)
        return request.prepare().url.split("X-Amz-Signature=")[1]
    request.headers["X-Amz-Content-SHA256"] = case["payload_hash"]
    signer = botocore.auth.S3SigV4Auth(credentials, "s3", case["region"])
    signer.payload = lambda _: case["payload_hash"]
    signer.add_auth(request)
    return request.headers["Authorization"].split("Signature=")[1]


with open(sys.argv[1]) as file:
    print(json.dumps([signature(case) for case in json.load(file)]))
