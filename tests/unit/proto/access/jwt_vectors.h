/* Tokens and keys as PyJWT's kind of code makes them (Python, cryptography 38): exp 2000000000, nbf
 * 1000000000, iss "issuer", aud "a" and "headwater", stream "live/" and a star, actions "play". */
#ifndef HW_TESTS_UNIT_PROTO_ACCESS_JWT_VECTORS_H
#define HW_TESTS_UNIT_PROTO_ACCESS_JWT_VECTORS_H

static const char k_jwks[] =
    "{\"keys\": [{\"kty\": \"oct\", \"kid\": \"h1\", \"k\": "
    "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\""
    "}, {\"kty\": \"RSA\", \"kid\": \"r1\", \"n\": "
    "\"pzi0h21fwme0YwsMKOtdGoU82nH3prhi1AI-sxZcQtQloxVR1vK"
    "Zf8SoVLRo4q3Y7Z9VfbPT21wGN1tDk1DkIzkRi5HhySvV9sV4iBk8G_lzllw6iR_8fELVd6pEcWWh_InepOWSM8i"
    "uoh5Qgdh3qwbBRdONxjMMgMtBcxyiQDZFVEgNIhHeDgkNO5aFbMZ_pFzz6wgRLUm-t7KmCixCLON6Cq-K1srMEI3"
    "N0SbGyYCDzlooJohrPwwhVNm71CIZFfLPBbBpPKFEzfD569_bcEivhE842J45mJ_YaslvHB6OZ7nypl3npVMszK7"
    "LaB_3pBTwyVeMo5WiylGD3QAF-w\", \"e\": \"AQAB\"}, {\"kty\": \"EC\", \"kid\": \"e1\", \"crv\": "
    "\"P-256\", \""
    "x\": \"tlQC2zOquXKSSaOB8Qt8gJtRT50TmRZYugJ8EC9IasA\", \"y\": \"bIk89BUiwlZAZ139vCafVoGGKvUJdNO"
    "GJjEqDFtYnMQ\"}, {\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"AAAA\"}]}";

static const char k_weak_rsa_jwks[] =
    "{\"keys\": [{\"kty\": \"RSA\", \"n\": "
    "\"yy5zbnRpO7jXO-n_B8dXYhdUGyLCCsxYzAynbaGtbIasFThd9I9p2N_Dx"
    "1WlWiYIWgM164h78GyPLYE5KuPNe6xh14AAKP9IXqD5nmzRhnECkKqhyGlIZ7DN0QsN2Ou_QHyHHZAsZFi_dCGm1"
    "uqZRJTjLCGmXIWc52GPm7-W3kU\", \"e\": \"AQAB\"}]}";

static const char k_hs256[] =
    "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogImgxIn0.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAw"
    "MCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIs"
    "ICJhY3Rpb25zIjogWyJwbGF5Il19.BSBQGDyoVxAqI2s40FEkICghTelPR8Gcsb1wZ9OrT3k";

static const char k_rs256[] =
    "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIn0.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAw"
    "MCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIs"
    "ICJhY3Rpb25zIjogWyJwbGF5Il19.AmS7DoEjIMY76W3DshfXLAxq3QcfLXrKVEaa53n3rnyR6bn0DVnJAUdRZMY"
    "mnKyN5RBGXG31MKBYNF_Kn5EXJw4DckcDRvY_rTBlEztXkdZXPwqod0q9B6937lIBpIFfJT8rRhJ88BLXLGS1QKe"
    "CCU9M-mL7j6mgyMXfrpitRerhg4xluPxBwhv4m7mv4YB0dEodtXXfHxuMvt3xFCaUaTLFWoul3GwaPPXI0aj4bN-"
    "rLGoFrYblpFpQK1zJz2mJ3pNf1WJph78y7Pbu7doa0dTqs7kJloH8RHJkn7wyHROWoj_q3eFRjlyKPd_xlk3JNpz"
    "8OSZd6G0AJeaAmj2RAA";

static const char k_es256[] =
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUxIn0.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAw"
    "MCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIs"
    "ICJhY3Rpb25zIjogWyJwbGF5Il19.7uhTRvVYHPcDRycs67TihwJuyiDKrJjidgJRbxY7RhhaN4Xip5yL_9FUS1D"
    "eGReOLk9Bf-tqBOKaoAKm8LHErg";

static const char k_rs256_without_kid[] =
    "eyJhbGciOiAiUlMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzcyI6ICJpc"
    "3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIsICJhY3Rpb25zIjogW"
    "yJwbGF5Il19.aqH5hu84fetgS4NbwC_HwhjTGN19_RqBRJQjqF9XAr94APczveEtppAZenGgWfk238HXY2_CG9fK"
    "s1raLtT4XVVyR7S6dxWWAGyo2sHZ0ebGLEVLlE4C9CXA_H5RZUOsZD7ZVyk0FxrGVXlZ_D3RogvVUPsSa_fMBUUL"
    "nnw8mlVspbTEidR0C0G2vGT3gRcPBWlhs6k84SacfgcDLGqE2HxVibNuk8xqWUzOt5zD8OTDlgXKILXu1VIH6VU-"
    "etiH1ikqgDJxKlatNpAqAASuigru_MVvUDbMw9wl3ISFeHJzw-EGIPAnWWinZWhqwF0CM7UcXjxzEWkfa8wkdojK"
    "Kw";

static const char k_none[] =
    "eyJhbGciOiAibm9uZSJ9.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzcyI6ICJpc3N"
    "1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIsICJhY3Rpb25zIjogWyJ"
    "wbGF5Il19.";

static const char k_confused[] =
    "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogInIxIn0.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAw"
    "MCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIs"
    "ICJhY3Rpb25zIjogWyJwbGF5Il19.RTV8c_JuIGPZN0AfoGX2POY7vhGV0av2bbGD25XCZsU";

static const char k_hs256_says_rs256[] =
    "eyJhbGciOiAiUlMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzcyI6ICJpc"
    "3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIsICJhY3Rpb25zIjogW"
    "yJwbGF5Il19.Q3685w3AVWQ-7rAcYPDKnrvESKzKh3f3TUcCxtt_9ow";

static const char k_crit[] =
    "eyJhbGciOiAiSFMyNTYiLCAiY3JpdCI6IFsiZXhwIl19.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDA"
    "wMDAwMCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmU"
    "vKiIsICJhY3Rpb25zIjogWyJwbGF5Il19.CgqFKJGGYay5NeIyf0EiNJ6_f2KmFC4Vz2Eu_L8m2Ck";

static const char k_other_kid[] =
    "eyJhbGciOiAiSFMyNTYiLCAia2lkIjogInIxIn0.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAw"
    "MCwgImlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIs"
    "ICJhY3Rpb25zIjogWyJwbGF5Il19.jFpPqdGskuYFiRioLByIVSfzcIjmewvdPIZrflGVeLM";

static const struct {
    const char *what, *token;
} k_bad_claims[] = {
    {"no exp", "eyJhbGciOiAiSFMyNTYifQ.eyJuYmYiOiAxMDAwMDAwMDAwLCAiaXNzIjogImlzc3VlciIsICJhdWQiO"
               "iBbImEiLCAiaGVhZHdhdGVyIl0sICJzdHJlYW0iOiAibGl2ZS8qIiwgImFjdGlvbnMiOiBbInBsYXkiX"
               "X0.HpTNBgFB_mFQ4Lx2TJ4V-cyLq3wjG9fPPK01_c8iqrw"},
    {"exp is text",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAiMSIsICJuYmYiOiAxMDAwMDAwMDAwLCAiaXNzIjogImlzc"
     "3VlciIsICJhdWQiOiBbImEiLCAiaGVhZHdhdGVyIl0sICJzdHJlYW0iOiAibGl2ZS8qIiwgImFjdGlvb"
     "nMiOiBbInBsYXkiXX0.TaHFMzJY-7ZmfwmsHJ9ABqGzuwjKBZNRe3OrKQwadfc"},
    {"exp is negative",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAtNSwgIm5iZiI6IDEwMDAwMDAwMDAsICJpc3MiOiAiaXNzd"
     "WVyIiwgImF1ZCI6IFsiYSIsICJoZWFkd2F0ZXIiXSwgInN0cmVhbSI6ICJsaXZlLyoiLCAiYWN0aW9uc"
     "yI6IFsicGxheSJdfQ.tbd3EM7FQECCH2_oPoxMhVIlWNBZdHlEwi0iAtfXT1Q"},
    {"nbf is a list",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogW10sICJpc3MiOiAiaXNzd"
     "WVyIiwgImF1ZCI6IFsiYSIsICJoZWFkd2F0ZXIiXSwgInN0cmVhbSI6ICJsaXZlLyoiLCAiYWN0aW9uc"
     "yI6IFsicGxheSJdfQ.nLdv1ZYp75eUsN3ib-RhX87R7osr_Gxmh_bPiVswmLM"},
    {"another issuer",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJ4IiwgImF1ZCI6IFsiYSIsICJoZWFkd2F0ZXIiXSwgInN0cmVhbSI6ICJsaXZlLyoiLCAiYWN0a"
     "W9ucyI6IFsicGxheSJdfQ.obwejyq3A2QHK5hQU1do9yEvBbPaxt7vaMS0AY9cIBQ"},
    {"no issuer", "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImF1Z"
                  "CI6IFsiYSIsICJoZWFkd2F0ZXIiXSwgInN0cmVhbSI6ICJsaXZlLyoiLCAiYWN0aW9ucyI6IFsicGxhe"
                  "SJdfQ.8EpjcbnfzDEBCajLBku2S9TLKYTgxPlwVAhFvSMFa94"},
    {"another audience",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogIngiLCAic3RyZWFtIjogImxpdmUvKiIsICJhY3Rpb25zIjogWyJwb"
     "GF5Il19.ihlRPcK6wEgsDmUbTh52emwblvSniA8NS0mMq8KT47I"},
    {"no audience",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAic3RyZWFtIjogImxpdmUvKiIsICJhY3Rpb25zIjogWyJwbGF5Il19.Lgz36kIs"
     "qObASRCZ9Q7ih7Zt5tbEqjCCIIAuy8WilxI"},
    {"no stream", "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
                  "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAiYWN0aW9ucyI6IFsicGxheSJdf"
                  "Q.owA7l6kdM0-YkflITt5QeIZexR6cVm6NgUqTKuY42Ro"},
    {"stream is a number",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogMSwgImFjdGlvb"
     "nMiOiBbInBsYXkiXX0.nElckK91JrPKtr2dp2cCiYOSZirUHbA4M-wOeSnRyKQ"},
    {"an empty stream",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogIiIsICJhY3Rpb"
     "25zIjogWyJwbGF5Il19.NW6t4lFRfcP5chnOiYn_IHd_tqoWbSk2z0VDH7roVWw"},
    {"nine streams",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogWyJhL2IiLCAiY"
     "S9iIiwgImEvYiIsICJhL2IiLCAiYS9iIiwgImEvYiIsICJhL2IiLCAiYS9iIiwgImEvYiJdLCAiYWN0a"
     "W9ucyI6IFsicGxheSJdfQ.SF_1NJxFIbmmiViedd7PakKk7BDIIiG9S0U478o5Wmg"},
    {"no actions",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiJ9."
     "_XXdiIp5sdu7bjPyiVOxuokUBUQtcKq83rTOnnlSmLM"},
    {"foreign actions",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMCwgImlzc"
     "yI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvKiIsI"
     "CJhY3Rpb25zIjogWyJmbHkiXX0.dxV5-w5w_N7kG2WREZbeklXlxANZycFpDTXyhxuJOm0"},
    {"exp in the year 100000",
     "eyJhbGciOiAiSFMyNTYifQ.eyJleHAiOiAzMDkzNTI3OTgwODAwLCAibmJmIjogMTAwMDAwMDAwMCwgI"
     "mlzcyI6ICJpc3N1ZXIiLCAiYXVkIjogWyJhIiwgImhlYWR3YXRlciJdLCAic3RyZWFtIjogImxpdmUvK"
     "iIsICJhY3Rpb25zIjogWyJwbGF5Il19.mJtD0ekHsE9197jL2yu5eouXv3rnP1HgPLSlDgUtB1w"},
};

static const char k_claims_no_object[] =
    "eyJhbGciOiAiSFMyNTYifQ.WzFd.6JV6fVlMO9Zq4_7DU0hBJznYE74xPi9Zkco7YnlnxgE";

#endif
