"""Made-up credentials of every kind, in the shapes that their services document.

Put together from halves, so that no scanner of this repository takes them for real ones.
"""

ALNUM = "Zx9Kq2Lm7Rt4Vw8Yb3Nc6Hd1Jf5Gs0Pe"
HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c"
BASE64 = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"[:40]
JWT = "ey" + "JhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJtYXJrZWQifQ." + "c2lnbmF0dXJlLW1hcmtlZA"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
PEM = "-----BEGIN RSA PRIV" + f"ATE KEY-----\n{PEM_BODY}\n-----END RSA PRIV" + "ATE KEY-----"

SHAPED = {
    "hf_token": "hf" + "_" + ALNUM + "Qa",
    "wandb_key": "wandb" + "_v1_" + ALNUM,
    "aws_key": "AK" + "IA" + "IOSFODNN7EXAMPLE",
    "google_key": "AI" + "za" + ALNUM + "abc",
    "github_token": "gh" + "p_" + ALNUM + "Qa12",
    "gitlab_token": "gl" + "pat-" + ALNUM[:20],
    "anthropic_key": "sk" + "-ant-api03-" + ALNUM,
    "openai_key": "sk" + "-proj-" + ALNUM,
    "slack_token": "xo" + "xb-" + "123456789012-" + ALNUM,
    "stripe_key": "sk" + "_live_" + ALNUM[:24],
    "jwt": JWT,
    "private_key": PEM,
    "service_token": "np" + "m_" + ALNUM + "abcd",
    "azure_secret": "abc" + "8Q~" + ALNUM + "ab",
}
"""Kind → a text that is known by its shape alone."""

MORE_SHAPED = (
    "api" + "_org_" + ALNUM,
    "AS" + "IA" + "IOSFODNN7EXAMPLE",
    *("gh" + kind + "_" + ALNUM for kind in "ours"),
    "github" + "_pat_" + ALNUM + "_" + ALNUM,
    "sk" + "-" + ALNUM,
    "xo" + "xp-" + ALNUM,
    "rk" + "_test_" + ALNUM[:24],
    "ya" + "29." + ALNUM,
    "pypi" + "-" + ALNUM * 3,
    "-----BEGIN PRIV" + f"ATE KEY-----\\n{PEM_BODY}\\n-----END PRIV" + "ATE KEY-----",
    "-----BEGIN OPENSSH PRIV" + f"ATE KEY-----\n{PEM_BODY}",
)
"""Further forms of the same kinds."""

IN_CONTEXT = (
    ("wandb_api_key", "wandb login {}", HEX),
    ("aws_secret", "aws configure: {}", BASE64),
    ("aws_key", SHAPED["aws_key"] + ",{}", BASE64),
    ("azure_key", "AccountName=a;AccountKey" + "={};EndpointSuffix=b", BASE64 + "=="),
    ("azure_key", "https://a.blob.core.windows.net/c?sv=2024&sig" + "={}&se=9", ALNUM + "%3D"),
    ("url_password", "postgres://{}@db.example.org/runs", "marked:hunter2"),
    ("url_password", "https://{}@example.org", "marked:p@ss/word2"),
    ("authorization", "Authorization: Bearer {}", "opaque-marked"),
    ("authorization", '{{"Authorization": "Basic {}"}}', "bWFya2VkOm1hcmtlZA=="),
    ("bearer_token", "sent with bearer {}", "opaque0marked1"),
    ("secret_value", "PASSWORD={} python train.py", "hunter2"),
    ("secret_value", "{{'db_password': '{}'}}", "two words"),
    ("secret_value", '{{\\"client_secret\\": \\"{}\\"}}', "marked"),
    ("wandb_api_key", "WANDB_API_KEY={}", HEX),
    ("secret_value", "password: Bearer {}", "marked"),
    ("token_value", "HUB_TOKEN={}", "opaque-marked"),
    ("flag_value", "train.py --api-key {} --lr 1", "marked"),
    ("flag_value", "train.py --hub_token {} --lr 1", "marked"),
)
"""Kind, a text around it, and a secret that only this text gives away."""

ORDINARY = (
    "", "loss", "learning_rate", "eval/rewards/accuracies", "mean_token_accuracy", "num_tokens",
    "meta-llama/Llama-3.1-8B-Instruct", "sentence-transformers/all-MiniLM-L6-v2",
    "hf-internal-testing/tiny-random-LlamaForCausalLM", "hf_model_for_sequence_classification",
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ", "THUDM/glm-4-9b-chat-hf", "task-arithmetic-merge",
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
    r".*\.(q|v)_proj", "adapter_model-00001-of-00002.safetensors", "run.jsonl", "1e-4", "3/4",
    "2f26ceb41a3c47e8307cde046b98fa17729a35fb", "sha256:" + "0123456789abcdef" * 4,
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "2024-05-01T12:00:00Z", "https://example.org:8080/a@b",
    "https://huggingface.co/org/model", "ssh://host.example.org/repo", "bitsandbytes", "cuda:0",
    "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB", "tokenizer=fast", "<|im_end|>",
    "pad_token: <pad>", "eos_token='</s>'", "max_new_tokens=128", "the bearer of good news",
    "a risk_test of authors", "monkey: see", "AdamW (8-bit)", "q_proj,k_proj,v_proj,o_proj", "AKIA",
    "wandb run at commit 2f26ceb41a3c47e8307cde046b98fa17729a35fb", "naïve 模型 🚀",
    "[REDACTED len=300]", "[REDACTED hf_token]",
)  # fmt: skip
"""Texts of a run that are no secrets."""

SECRET_NAMES = (
    "password PASSWORD db_password userPassword passwd passphrase pwd secret client_secret secrets "
    "token hub_token hf_token HF_TOKEN accessToken auth_token refresh-token access_tokens api_key "
    "apiKey API-KEY apikey OPENAI_API_KEY wandb_api_key aws_secret_access_key private_key "
    "private_key_id credentials connection_string AZURE_STORAGE_CONNECTION_STRING Authorization "
    "auth set_cookie sas_token account_key"
).split()
"""Names whose text is secret whatever it looks like."""

ORDINARY_NAMES = (
    "loss lr tokenizer tokenizer_class num_tokens max_new_tokens tokens total_tokens pad_token "
    "eos_token bos_token unk_token mask_token padToken token_type token_type_ids pad_token_id "
    "tokens_per_second image_token additional_special_tokens key keys monkey cache_key "
    "metric_for_best_model git_hash commit model_name dataset_name target_modules author "
    "passes basic rouge_passage 1 _"
).split()
"""Names of the field's own vocabulary."""
