"""What went wrong with S3 and how to mend it, in one line. Repeats nothing a server or a setting says in full,
so that no key, token or signed URL ends up in a message."""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore import exceptions as boto

GRANT = "grant this identity s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it"
KEYS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
REGION = "set AWS_DEFAULT_REGION to the bucket's region"
REMEDIES = {
    "403": f"access denied; {GRANT}",
    "AccessDenied": f"access denied; {GRANT}",
    "AllAccessDisabled": f"access denied; {GRANT}",
    "InvalidAccessKeyId": f"the server does not know the access key; {KEYS}",
    "SignatureDoesNotMatch": f"the secret key does not fit the access key; {KEYS}",
    "InvalidToken": f"the session token is not valid; {KEYS}",
    "ExpiredToken": "the credentials have expired; renew them",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it by NTP",
    "301": f"the bucket lives in another region; {REGION}",
    "PermanentRedirect": f"the bucket lives in another region; {REGION}",
    "AuthorizationHeaderMalformed": f"the bucket lives in another region; {REGION}",
    "QuotaExceeded": "the bucket's quota is used up; delete old results or raise it",
}
NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
)
UNREACHABLE = (boto.ConnectionError, boto.HTTPClientError)


def error_code(error: boto.ClientError) -> str:
    """S3's name for the error, or the HTTP status where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explanation(error: Exception, bucket: str, endpoint: str) -> str:
    """Cause and remedy of an error raised by boto3, or by the local file that was to be sent."""
    if isinstance(error, boto.ClientError):
        return _refusal(error, bucket, endpoint)
    if isinstance(error, NO_CREDENTIALS):
        return "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role"
    if isinstance(error, boto.ProfileNotFound):
        return "the profile does not exist; correct AWS_PROFILE"
    if isinstance(error, boto.ParamValidationError):
        return f"{bucket!r} cannot name a bucket; correct the store URL"
    if isinstance(error, UNREACHABLE):
        return f"{endpoint} does not answer ({type(error).__name__}); is AWS_ENDPOINT_URL_S3 right, and the server up?"
    if isinstance(error, OSError):
        return f"the file to send cannot be read: {error.strerror}"
    return f"{type(error).__name__} from boto3; is AWS_ENDPOINT_URL_S3 the address of an S3 server?"


def _refusal(error: boto.ClientError, bucket: str, endpoint: str) -> str:
    code = error_code(error)
    if code == "NoSuchBucket":
        return (
            f"there is no bucket {bucket!r} at {endpoint}; create it (aws s3 mb s3://{bucket}) or correct the store URL"
        )
    if code in REMEDIES:
        return REMEDIES[code]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return f"{endpoint} answers {code or 'an error'} (HTTP {status}) to {error.operation_name}; see the server's log"


def without_login(endpoint: str) -> str:
    """The endpoint as it may be shown: without a user, a password or a query."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
