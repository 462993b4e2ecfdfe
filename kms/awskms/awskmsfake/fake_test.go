package awskmsfake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

func start(t *testing.T) (*Fake, *kms.Client) {
	t.Helper()
	f := New()
	t.Cleanup(f.Close)
	return f, f.Client()
}

// ok fails the test when err is set, and returns out otherwise.
func ok[T any](t *testing.T) func(out T, err error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// wantCode asserts that err is an error of the service of the given type.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func encrypt(t *testing.T, c *kms.Client, keyID, plaintext string, context map[string]string) []byte {
	t.Helper()
	out := ok[*kms.EncryptOutput](t)(c.Encrypt(t.Context(), &kms.EncryptInput{
		KeyId: &keyID, Plaintext: []byte(plaintext), EncryptionContext: context,
	}))
	return out.CiphertextBlob
}

func decrypt(t *testing.T, c *kms.Client, keyID string, blob []byte, context map[string]string) (*kms.DecryptOutput, error) {
	t.Helper()
	in := &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: context}
	if keyID != "" {
		in.KeyId = &keyID
	}
	return c.Decrypt(t.Context(), in)
}

func TestEncryptedDataDecryptsUnderItsContextOnly(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	ec := map[string]string{"a": "b", "c": ""}
	blob := encrypt(t, c, key, "secret", ec)
	for _, keyID := range []string{"", key, key[strings.LastIndex(key, "/")+1:]} {
		out := ok[*kms.DecryptOutput](t)(decrypt(t, c, keyID, blob, ec))
		if string(out.Plaintext) != "secret" || *out.KeyId != key || out.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" {
			t.Errorf("decrypted %q with %s", out.Plaintext, *out.KeyId)
		}
	}
	for _, other := range []map[string]string{nil, {"a": "b"}, {"a": "B", "c": ""}, {"A": "b", "c": ""}, {"a": "b", "c": "", "d": ""}, {"ab": "", "c": ""}} {
		_, err := decrypt(t, c, key, blob, other)
		wantCode(t, err, "InvalidCiphertextException")
	}
	if bytes.Contains(blob, []byte("secret")) || bytes.Equal(blob, encrypt(t, c, key, "secret", ec)) {
		t.Error("the ciphertext shows the plaintext, or repeats")
	}
}

func TestADamagedCiphertextIsRefused(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	blob := encrypt(t, c, key, "secret", nil)
	for i := range blob {
		damaged := bytes.Clone(blob)
		damaged[i] ^= 1
		for _, keyID := range []string{"", key} {
			_, err := decrypt(t, c, keyID, damaged, nil)
			wantCode(t, err, "InvalidCiphertextException")
		}
	}
	_, err := decrypt(t, c, key, blob[:20], nil)
	wantCode(t, err, "InvalidCiphertextException")
	_, err = decrypt(t, c, key, make([]byte, 6145), nil)
	wantCode(t, err, "ValidationException")
}

func TestAliasesMoveAndOldCiphertextsOpenWithoutThem(t *testing.T) {
	f, c := start(t)
	first, second := f.CreateKey(), f.CreateKey()
	f.SetAlias("alias/a", first)
	blob := encrypt(t, c, "alias/a", "x", nil)
	f.SetAlias("alias/a", second)
	_, err := decrypt(t, c, "alias/a", blob, nil)
	wantCode(t, err, "IncorrectKeyException")
	for _, keyID := range []string{"", first} {
		ok[*kms.DecryptOutput](t)(decrypt(t, c, keyID, blob, nil))
	}
	aliasARN := "arn:aws:kms:eu-west-1:111122223333:alias/a"
	if out := ok[*kms.DescribeKeyOutput](t)(c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &aliasARN})); *out.KeyMetadata.Arn != second {
		t.Errorf("the alias leads to %s, want %s", *out.KeyMetadata.Arn, second)
	}
	_, err = decrypt(t, c, second, blob, nil)
	wantCode(t, err, "IncorrectKeyException")
}

func TestAliasOperations(t *testing.T) {
	f, c := start(t)
	key, other := f.CreateKey(), f.CreateKey()
	create := func(name, target string) error {
		_, err := c.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &target})
		return err
	}
	for name, code := range map[string]string{
		"no-prefix": "InvalidAliasNameException", "alias/": "InvalidAliasNameException",
		"alias/aws/own": "InvalidAliasNameException", "alias/spa ce": "InvalidAliasNameException",
	} {
		wantCode(t, create(name, key), code)
	}
	wantCode(t, create("alias/a", "alias/b"), "ValidationException")
	wantCode(t, create("alias/a", "00000000-0000-0000-0000-000000000000"), "NotFoundException")
	for _, name := range []string{"alias/a", "alias/b", "alias/c"} {
		if err := create(name, key); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, create("alias/a", key), "AlreadyExistsException")
	_, err := c.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: aws.String("alias/none"), TargetKeyId: &key})
	wantCode(t, err, "NotFoundException")
	ok[*kms.UpdateAliasOutput](t)(c.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: aws.String("alias/b"), TargetKeyId: &other}))

	var names []string
	pages := kms.NewListAliasesPaginator(c, &kms.ListAliasesInput{Limit: aws.Int32(1)})
	for pages.HasMorePages() {
		for _, a := range ok[*kms.ListAliasesOutput](t)(pages.NextPage(t.Context())).Aliases {
			names = append(names, *a.AliasName)
		}
	}
	if got := strings.Join(names, " "); got != "alias/a alias/b alias/c" {
		t.Errorf("listed %s", got)
	}
	if out := ok[*kms.ListAliasesOutput](t)(c.ListAliases(t.Context(), &kms.ListAliasesInput{KeyId: &other})); len(out.Aliases) != 1 {
		t.Errorf("listed %d aliases of the other key, want 1", len(out.Aliases))
	}
	_, err = c.ListAliases(t.Context(), &kms.ListAliasesInput{Marker: aws.String("x")})
	wantCode(t, err, "InvalidMarkerException")
	del := func() error {
		_, err := c.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: aws.String("alias/a")})
		return err
	}
	if err := del(); err != nil {
		t.Error(err)
	}
	wantCode(t, del(), "NotFoundException")
}

func TestReEncryptMovesToAnotherKeyAndContext(t *testing.T) {
	f, c := start(t)
	from, to := f.CreateKey(), f.CreateKey()
	blob := encrypt(t, c, from, "secret", map[string]string{"v": "1"})
	in := &kms.ReEncryptInput{
		CiphertextBlob: blob, SourceKeyId: &from, SourceEncryptionContext: map[string]string{"v": "1"},
		DestinationKeyId: &to, DestinationEncryptionContext: map[string]string{"v": "2"},
	}
	out := ok[*kms.ReEncryptOutput](t)(c.ReEncrypt(t.Context(), in))
	if *out.SourceKeyId != from || *out.KeyId != to {
		t.Errorf("moved from %s to %s", *out.SourceKeyId, *out.KeyId)
	}
	if got := ok[*kms.DecryptOutput](t)(decrypt(t, c, to, out.CiphertextBlob, map[string]string{"v": "2"})); string(got.Plaintext) != "secret" {
		t.Errorf("decrypted %q", got.Plaintext)
	}
	in.SourceEncryptionContext = nil
	_, err := c.ReEncrypt(t.Context(), in)
	wantCode(t, err, "InvalidCiphertextException")
	in.SourceEncryptionContext, in.SourceKeyId = map[string]string{"v": "1"}, &to
	_, err = c.ReEncrypt(t.Context(), in)
	wantCode(t, err, "IncorrectKeyException")
	in.SourceKeyId = nil
	f.Disable(to)
	_, err = c.ReEncrypt(t.Context(), in)
	wantCode(t, err, "DisabledException")
}

func TestGenerateDataKeyReturnsTheKeyAndItsCiphertext(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	generate := func(spec types.DataKeySpec, bytes *int32) (*kms.GenerateDataKeyOutput, error) {
		return c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: spec, NumberOfBytes: bytes})
	}
	for _, x := range []struct {
		spec  types.DataKeySpec
		bytes *int32
		want  int
	}{{"AES_256", nil, 32}, {"AES_128", nil, 16}, {"", aws.Int32(64), 64}} {
		out := ok[*kms.GenerateDataKeyOutput](t)(generate(x.spec, x.bytes))
		got := ok[*kms.DecryptOutput](t)(decrypt(t, c, key, out.CiphertextBlob, nil))
		if len(out.Plaintext) != x.want || !bytes.Equal(got.Plaintext, out.Plaintext) {
			t.Errorf("%s: %d bytes, want %d, that decrypt to themselves", x.spec, len(out.Plaintext), x.want)
		}
	}
	for _, x := range []struct {
		spec  types.DataKeySpec
		bytes *int32
	}{{"", nil}, {"AES_256", aws.Int32(32)}, {"AES_512", nil}, {"", aws.Int32(0)}, {"", aws.Int32(1025)}} {
		_, err := generate(x.spec, x.bytes)
		wantCode(t, err, "ValidationException")
	}
	out := ok[*kms.GenerateDataKeyWithoutPlaintextOutput](t)(c.GenerateDataKeyWithoutPlaintext(t.Context(),
		&kms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, KeySpec: "AES_256"}))
	if got := ok[*kms.DecryptOutput](t)(decrypt(t, c, key, out.CiphertextBlob, nil)); len(got.Plaintext) != 32 {
		t.Errorf("without plaintext: %d bytes, want 32", len(got.Plaintext))
	}
}

// TestWithoutPlaintextThereIsNoneInTheAnswer looks at the bytes on the wire,
// because the SDK would drop a field that it does not expect.
func TestWithoutPlaintextThereIsNoneInTheAnswer(t *testing.T) {
	f, _ := start(t)
	body := raw(t, f, "GenerateDataKeyWithoutPlaintext", `{"KeyId":"`+f.CreateKey()+`","KeySpec":"AES_256"}`, nil)
	if strings.Contains(body, "Plaintext") || !strings.Contains(body, "CiphertextBlob") {
		t.Errorf("the answer is %s", body)
	}
}

// raw sends a request without the SDK and returns the answer's body.
func raw(t *testing.T, f *Fake, operation, body string, header map[string]string) string {
	t.Helper()
	r := ok[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL(), strings.NewReader(body)))
	r.Header.Set("X-Amz-Target", "TrentService."+operation)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+AccessKeyID+"/20260101/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=00")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer := ok[*http.Response](t)(http.DefaultClient.Do(r))
	defer answer.Body.Close()
	return string(ok[[]byte](t)(io.ReadAll(answer.Body)))
}

func TestPlaintextsAreOneTo4096Bytes(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	encrypt(t, c, key, strings.Repeat("x", 4096), nil)
	for _, n := range []int{0, 4097} {
		_, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: make([]byte, n)})
		wantCode(t, err, "ValidationException")
	}
}

func TestKeyStatesDecideWhatAKeyDoes(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	blob := encrypt(t, c, key, "x", nil)
	use := func() error {
		_, err := decrypt(t, c, "", blob, nil)
		_, err2 := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		_, err3 := c.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: "AES_256"})
		if (err == nil) != (err2 == nil) || (err == nil) != (err3 == nil) {
			t.Errorf("operations disagree: %v, %v, %v", err, err2, err3)
		}
		return err
	}
	ok[*kms.DisableKeyOutput](t)(c.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key}))
	wantCode(t, use(), "DisabledException")
	ok[*kms.EnableKeyOutput](t)(c.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key}))
	if err := use(); err != nil {
		t.Error(err)
	}
	_, err := c.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(6)})
	wantCode(t, err, "ValidationException")
	out := ok[*kms.ScheduleKeyDeletionOutput](t)(c.ScheduleKeyDeletion(t.Context(),
		&kms.ScheduleKeyDeletionInput{KeyId: &key, PendingWindowInDays: aws.Int32(7)}))
	if days := time.Until(*out.DeletionDate).Hours() / 24; days < 6 || days > 8 || out.KeyState != types.KeyStatePendingDeletion {
		t.Errorf("deletion in %.1f days, state %s", days, out.KeyState)
	}
	wantCode(t, use(), "KMSInvalidStateException")
	_, err = c.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key})
	wantCode(t, err, "KMSInvalidStateException")
	ok[*kms.CancelKeyDeletionOutput](t)(c.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: &key}))
	wantCode(t, use(), "DisabledException")
	_, err = c.CancelKeyDeletion(t.Context(), &kms.CancelKeyDeletionInput{KeyId: &key})
	wantCode(t, err, "KMSInvalidStateException")
	f.Delete(key)
	_, err = decrypt(t, c, key, blob, nil)
	wantCode(t, err, "NotFoundException")
}

func TestRotationKeepsEveryMaterial(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	old := encrypt(t, c, key, "old", nil)
	ok[*kms.RotateKeyOnDemandOutput](t)(c.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key}))
	f.Rotate(key)
	fresh := encrypt(t, c, key, "new", nil)
	first := ok[*kms.DecryptOutput](t)(decrypt(t, c, key, old, nil))
	last := ok[*kms.DecryptOutput](t)(decrypt(t, c, key, fresh, nil))
	if *first.KeyMaterialId == *last.KeyMaterialId || *first.KeyId != *last.KeyId {
		t.Error("the rotation made no new material, or another key")
	}
	list := func(all types.IncludeKeyMaterial) (kinds []string) {
		pages := kms.NewListKeyRotationsPaginator(c, &kms.ListKeyRotationsInput{KeyId: &key, Limit: aws.Int32(1), IncludeKeyMaterial: all})
		for pages.HasMorePages() {
			for _, r := range ok[*kms.ListKeyRotationsOutput](t)(pages.NextPage(t.Context())).Rotations {
				kinds = append(kinds, string(r.RotationType)+"/"+string(r.KeyMaterialState))
			}
		}
		return kinds
	}
	if got := strings.Join(list(""), " "); got != "ON_DEMAND/NON_CURRENT AUTOMATIC/CURRENT" {
		t.Errorf("rotations are %s", got)
	}
	if got := list(types.IncludeKeyMaterialAllKeyMaterial); len(got) != 3 || got[0] != "/NON_CURRENT" {
		t.Errorf("all materials are %v", got)
	}
	for range maxOnDemand - 1 {
		ok[*kms.RotateKeyOnDemandOutput](t)(c.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key}))
	}
	_, err := c.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key})
	wantCode(t, err, "LimitExceededException")
	ok[*kms.DecryptOutput](t)(decrypt(t, c, key, old, nil))
}

func TestAutomaticRotationHasAStatus(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	status := func() *kms.GetKeyRotationStatusOutput {
		return ok[*kms.GetKeyRotationStatusOutput](t)(c.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: &key}))
	}
	if status().KeyRotationEnabled {
		t.Error("a new key rotates")
	}
	_, err := c.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: &key, RotationPeriodInDays: aws.Int32(89)})
	wantCode(t, err, "ValidationException")
	ok[*kms.EnableKeyRotationOutput](t)(c.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: &key, RotationPeriodInDays: aws.Int32(90)}))
	if s := status(); !s.KeyRotationEnabled || *s.RotationPeriodInDays != 90 || s.NextRotationDate == nil {
		t.Errorf("status is %+v", s)
	}
	ok[*kms.DisableKeyRotationOutput](t)(c.DisableKeyRotation(t.Context(), &kms.DisableKeyRotationInput{KeyId: &key}))
	if status().KeyRotationEnabled {
		t.Error("rotation is still on")
	}
}

func TestImportedMaterial(t *testing.T) {
	_, c := start(t)
	created := ok[*kms.CreateKeyOutput](t)(c.CreateKey(t.Context(), &kms.CreateKeyInput{Origin: types.OriginTypeExternal}))
	key := created.KeyMetadata.Arn
	if created.KeyMetadata.KeyState != types.KeyStatePendingImport {
		t.Fatalf("a new key is %s", created.KeyMetadata.KeyState)
	}
	use := func() error {
		_, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: key, Plaintext: []byte("x")})
		return err
	}
	put := func(fill byte, kind types.ImportType) (string, error) {
		out, err := c.ImportKeyMaterial(t.Context(), &kms.ImportKeyMaterialInput{
			KeyId: key, EncryptedKeyMaterial: bytes.Repeat([]byte{fill}, 32), ImportToken: []byte("t"), ImportType: kind,
		})
		if err != nil {
			return "", err
		}
		return *out.KeyMaterialId, nil
	}
	wantCode(t, use(), "KMSInvalidStateException")
	_, err := put(1, types.ImportTypeExistingKeyMaterial)
	wantCode(t, err, "IncorrectKeyMaterialException")
	first := ok[string](t)(put(1, ""))
	blob := encrypt(t, c, *key, "x", nil)

	// Deleting the material makes the key useless until the same is back.
	del := func(id *string) error {
		_, err := c.DeleteImportedKeyMaterial(t.Context(), &kms.DeleteImportedKeyMaterialInput{KeyId: key, KeyMaterialId: id})
		return err
	}
	if err := del(nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, use(), "KMSInvalidStateException")
	_, err = put(2, types.ImportTypeExistingKeyMaterial)
	wantCode(t, err, "IncorrectKeyMaterialException")
	if got := ok[string](t)(put(1, types.ImportTypeExistingKeyMaterial)); got != first {
		t.Errorf("the same material has the id %s, then %s", first, got)
	}
	ok[*kms.DecryptOutput](t)(decrypt(t, c, *key, blob, nil))

	// New material waits for a rotation on demand.
	_, err = c.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: key})
	wantCode(t, err, "KMSInvalidStateException")
	_, err = put(1, types.ImportTypeNewKeyMaterial)
	wantCode(t, err, "IncorrectKeyMaterialException")
	second := ok[string](t)(put(2, types.ImportTypeNewKeyMaterial))
	_, err = put(3, types.ImportTypeNewKeyMaterial)
	wantCode(t, err, "KMSInvalidStateException")
	current := func() string {
		return *ok[*kms.DescribeKeyOutput](t)(c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key})).KeyMetadata.CurrentKeyMaterialId
	}
	if current() != first {
		t.Error("pending material is current before the rotation")
	}
	ok[*kms.RotateKeyOnDemandOutput](t)(c.RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: key}))
	if current() != second {
		t.Error("pending material is not current after the rotation")
	}
	ok[*kms.DecryptOutput](t)(decrypt(t, c, *key, blob, nil))
	if err := del(&first); err != nil {
		t.Fatal(err)
	}
	wantCode(t, use(), "KMSInvalidStateException")
	wantCode(t, del(aws.String(strings.Repeat("0", 64))), "NotFoundException")
	_, err = c.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: key})
	wantCode(t, err, "KMSInvalidStateException")
	ok[string](t)(put(1, types.ImportTypeExistingKeyMaterial))
	_, err = c.EnableKeyRotation(t.Context(), &kms.EnableKeyRotationInput{KeyId: key})
	wantCode(t, err, "UnsupportedOperationException")
}

func TestImportIsForExternalKeysAnd32Bytes(t *testing.T) {
	f, c := start(t)
	own := f.CreateKey()
	ext := *ok[*kms.CreateKeyOutput](t)(c.CreateKey(t.Context(), &kms.CreateKeyInput{Origin: types.OriginTypeExternal})).KeyMetadata.Arn
	for _, x := range []struct {
		key, token string
		size       int
		code       string
	}{
		{own, "t", 32, "UnsupportedOperationException"},
		{ext, "", 32, "InvalidImportTokenException"},
		{ext, "t", 31, "IncorrectKeyMaterialException"},
	} {
		_, err := c.ImportKeyMaterial(t.Context(), &kms.ImportKeyMaterialInput{
			KeyId: &x.key, EncryptedKeyMaterial: make([]byte, x.size), ImportToken: []byte(x.token),
		})
		wantCode(t, err, x.code)
	}
	_, err := c.DeleteImportedKeyMaterial(t.Context(), &kms.DeleteImportedKeyMaterialInput{KeyId: &own})
	wantCode(t, err, "UnsupportedOperationException")
	_, err = c.CreateKey(t.Context(), &kms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm})
	wantCode(t, err, "UnsupportedOperationException")
}

func TestAReplicaSharesTheMaterialOfItsPrimary(t *testing.T) {
	f, c := start(t)
	primary := f.CreateMultiRegionKey()
	out := ok[*kms.ReplicateKeyOutput](t)(c.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &primary, ReplicaRegion: aws.String("us-east-1")}))
	replica := *out.ReplicaKeyMetadata.Arn
	there := f.Region("us-east-1")
	if there.Name() != "us-east-1" || replica != strings.Replace(primary, "eu-west-1", "us-east-1", 1) {
		t.Fatalf("the replica of %s is %s", primary, replica)
	}
	f.Rotate(primary)
	blob := encrypt(t, c, primary, "x", nil)
	got := ok[*kms.DecryptOutput](t)(decrypt(t, there.Client(), replica, blob, nil))
	if *got.KeyId != replica {
		t.Errorf("decrypted with %s, want %s", *got.KeyId, replica)
	}
	_, err := decrypt(t, there.Client(), primary, blob, nil)
	wantCode(t, err, "NotFoundException")
	_, err = there.Client().RotateKeyOnDemand(t.Context(), &kms.RotateKeyOnDemandInput{KeyId: &replica})
	wantCode(t, err, "UnsupportedOperationException")
	_, err = c.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &primary, ReplicaRegion: aws.String("us-east-1")})
	wantCode(t, err, "AlreadyExistsException")
	single := f.CreateKey()
	_, err = c.ReplicateKey(t.Context(), &kms.ReplicateKeyInput{KeyId: &single, ReplicaRegion: aws.String("us-east-1")})
	wantCode(t, err, "UnsupportedOperationException")
	kind := ok[*kms.DescribeKeyOutput](t)(there.Client().DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &replica})).KeyMetadata.MultiRegionConfiguration
	if kind == nil || kind.MultiRegionKeyType != types.MultiRegionKeyTypeReplica {
		t.Errorf("the replica is %+v", kind)
	}
}

func TestDescribeKeyHasTheServicesFields(t *testing.T) {
	_, c := start(t)
	created := ok[*kms.CreateKeyOutput](t)(c.CreateKey(t.Context(), &kms.CreateKeyInput{Description: aws.String("mine")})).KeyMetadata
	got := ok[*kms.DescribeKeyOutput](t)(c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: created.KeyId})).KeyMetadata
	if *got.Arn != "arn:aws:kms:eu-west-1:111122223333:key/"+*got.KeyId || !got.Enabled ||
		got.KeyState != types.KeyStateEnabled || got.KeySpec != types.KeySpecSymmetricDefault ||
		got.KeyUsage != types.KeyUsageTypeEncryptDecrypt || *got.Description != "mine" ||
		got.Origin != types.OriginTypeAwsKms || time.Since(*got.CreationDate) > time.Minute {
		t.Errorf("metadata is %+v", got)
	}
	if out := ok[*kms.ListKeysOutput](t)(c.ListKeys(t.Context(), &kms.ListKeysInput{})); len(out.Keys) != 1 || *out.Keys[0].KeyArn != *got.Arn {
		t.Errorf("listed %v", out.Keys)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	use := func() error {
		_, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		return err
	}
	f.Throttle(3)
	wantCode(t, use(), "ThrottlingException")
	f.Throttle(2)
	if err := use(); err != nil {
		t.Errorf("two throttled requests were not repeated: %v", err)
	}
	f.Fail5xx(3)
	wantCode(t, use(), "KMSInternalException")
	f.Fail5xx(-1)
	wantCode(t, use(), "KMSInternalException")
	f.Fail5xx(0)
	f.Deny("Encrypt")
	wantCode(t, use(), "AccessDeniedException")
	f.Deny()
	f.Down()
	var api smithy.APIError
	if err := use(); err == nil || errors.As(err, &api) {
		t.Errorf("a service that is down answered %v", err)
	}
	f.Up()
	f.Delay(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.ListKeys(ctx, &kms.ListKeysInput{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a slow service answered %v", err)
	}
	f.Delay(time.Millisecond)
	if err := use(); err != nil {
		t.Error(err)
	}
}

func TestCloseEndsARequestThatIsDelayed(t *testing.T) {
	f, c := start(t)
	f.Delay(time.Hour)
	done := make(chan error)
	go func() {
		_, err := c.ListKeys(context.Background(), &kms.ListKeysInput{})
		done <- err
	}()
	for f.Calls("ListKeys") == 0 {
		time.Sleep(time.Millisecond)
	}
	f.Close()
	if err := <-done; err == nil {
		t.Error("the request succeeded")
	}
}

func TestTheLogSaysWhatWasAskedAndNeverPlaintext(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	ec := map[string]string{"tenant": "acme"}
	blob := encrypt(t, c, key, "a plaintext to look for", ec)
	ok[*kms.DecryptOutput](t)(decrypt(t, c, key, blob, ec))
	_, _ = decrypt(t, c, key, blob, nil)
	log := f.Log()
	if len(log) != 3 || f.Calls("Decrypt") != 2 || f.Calls("") != 3 {
		t.Fatalf("%d entries, %d calls of Decrypt, %d in all", len(log), f.Calls("Decrypt"), f.Calls(""))
	}
	for i, want := range []string{"Encrypt", "Decrypt", "Decrypt"} {
		if log[i].Operation != want || log[i].KeyARN != key {
			t.Errorf("entry %d is %+v", i, log[i])
		}
	}
	if !maps.Equal(log[0].EncryptionContext, ec) || log[2].Error != "InvalidCiphertextException" || log[1].Error != "" {
		t.Errorf("the log is %+v", log)
	}
	if text, _ := json.Marshal(log); strings.Contains(string(text), "look for") {
		t.Error("the log shows plaintext")
	}
	log[0].EncryptionContext["tenant"] = "changed"
	if f.Log()[0].EncryptionContext["tenant"] != "acme" {
		t.Error("a caller changed the log")
	}
	f.Reset()
	if len(f.Log()) != 0 || f.Calls("") != 0 {
		t.Error("Reset left something")
	}
}

func TestTheProtocolIsCheckedAsTheServiceDoes(t *testing.T) {
	f, _ := start(t)
	for name, x := range map[string]struct {
		operation, body string
		header          map[string]string
		want            string
	}{
		"an unknown operation":    {"Sing", "{}", nil, "UnknownOperationException"},
		"another service":         {"", "{}", map[string]string{"X-Amz-Target": "DynamoDB.ListTables"}, "UnknownOperationException"},
		"no JSON":                 {"ListKeys", "{", nil, "SerializationException"},
		"no signature":            {"ListKeys", "{}", map[string]string{"Authorization": ""}, "MissingAuthenticationTokenException"},
		"a scope of other parts":  {"ListKeys", "{}", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=a/b, x"}, "IncompleteSignatureException"},
		"another region's scope":  {"ListKeys", "{}", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=" + AccessKeyID + "/20260101/us-east-1/kms/aws4_request, x"}, "InvalidSignatureException"},
		"no KeyId":                {"DescribeKey", "{}", nil, "ValidationException"},
		"a limit out of range":    {"ListKeys", `{"Limit":0}`, nil, "ValidationException"},
		"an alias that is no key": {"EnableKey", `{"KeyId":"alias/a"}`, nil, "ValidationException"},
	} {
		if body := raw(t, f, x.operation, x.body, x.header); !strings.Contains(body, `"__type":"`+x.want+`"`) {
			t.Errorf("%s: got %s, want %s", name, body, x.want)
		}
	}
}

func TestUnknownCredentialsAreRefused(t *testing.T) {
	f, _ := start(t)
	c := f.Client(func(o *kms.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("AKIAOTHER", SecretAccessKey, "")
	})
	_, err := c.ListKeys(t.Context(), &kms.ListKeysInput{})
	wantCode(t, err, "UnrecognizedClientException")
}

func TestKeysOfOtherRegionsAndFormsAreNotFound(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	for _, keyID := range []string{
		strings.Replace(key, "eu-west-1", "us-east-1", 1), strings.Replace(key, Account, "999999999999", 1),
		"alias/none", "00000000-0000-0000-0000-000000000000", "arn:aws:kms:eu-west-1:111122223333:alias/none",
	} {
		_, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &keyID})
		wantCode(t, err, "NotFoundException")
	}
}

func TestControlsPanicOnAMistakeInTheTest(t *testing.T) {
	f, _ := start(t)
	defer func() {
		if recover() == nil {
			t.Error("disabling a key that does not exist went unnoticed")
		}
	}()
	f.Disable("alias/none")
}

func TestConcurrentUse(t *testing.T) {
	f, c := start(t)
	key := f.CreateKey()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				out, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
				if err != nil {
					t.Error(err)
					return
				}
				f.Rotate(key)
				if _, err := c.Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: out.CiphertextBlob}); err != nil {
					t.Error(err)
				}
				f.Region("us-east-1").CreateKey()
				f.Log()
			}
		})
	}
	wg.Wait()
	if n := f.Calls("Encrypt"); n != 80 {
		t.Errorf("counted %d calls, want 80", n)
	}
}

func FuzzParseBlob(f *testing.F) {
	k := &key{id: newKeyID(false), materials: new(materials)}
	k.materials.add(newMaterial([32]byte{1}), "")
	f.Add(sealBlob(k, []byte("x"), nil))
	f.Add([]byte{})
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, blob []byte) {
		if _, _, header, parsed := parseBlob(blob); parsed && header+28 > len(blob) {
			t.Errorf("the header of %d bytes leaves no room in %d", header, len(blob))
		}
		if _, _, err := openBlob(k, blob, map[string]string{"other": "context"}); err == nil {
			t.Error("a blob opened under another context")
		}
	})
}
